
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_crc32.h>

#include <stdarg.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "ngx_http_tgbot_dead.h"
#include "ngx_http_tgbot_dedup.h"
#include "ngx_http_tgbot_queue.h"
#include "ngx_http_tgbot_state.h"
#include "ngx_http_tgbot_state_file.h"

#include "queue.h"
#include "dedup.h"
#include "unit.h"
#include "zones.h"


#define TEST_BOTS    2
#define TEST_ROOM    (128 * 1024)
#define TEST_WINDOW  8192
#define TEST_FILE    (1024 * 1024)

/* a user who is not root */
#define TEST_NOBODY  65534


/* all zones of a configuration */

typedef struct {
    ngx_http_tgbot_queue_t   queues[TEST_BOTS];
    ngx_http_tgbot_dead_t    deads[TEST_BOTS];
    ngx_http_tgbot_dedup_t   seens[TEST_BOTS];
    ngx_http_tgbot_zone_t   *zones[3];
    ngx_http_tgbot_zone_t   *old[3];         /* owner of the memory */
    ngx_http_tgbot_state_t   state;
} test_world_t;


static void test_crc_init(void);
static void test_world(test_world_t *world, size_t room, ngx_uint_t n);
static void test_world_end(test_world_t *world);
static void test_world_reload(test_world_t *world, ngx_uint_t n);
static void test_dead_users(test_world_t *world, void **users, ngx_uint_t n);
static void test_fill(test_world_t *world);
static void test_fill_queue(test_world_t *world);
static void test_fill_dead(test_world_t *world);
static void test_dump(test_world_t *world, ngx_str_t *dump);
static u_char *test_dump_queue(ngx_http_tgbot_zone_t *zone, u_char *p,
    u_char *last);
static u_char *test_dump_dead(ngx_http_tgbot_zone_t *zone, u_char *p,
    u_char *last);
static ngx_uint_t test_empty(test_world_t *world);
static ngx_uint_t test_exists(const char *suffix);
static u_char *test_path(const char *suffix);
static size_t test_get(const char *suffix, u_char *buf);
static void test_put(u_char *buf, size_t size);
static void test_seal(u_char *buf, size_t size);
static void test_clean(void);
static ngx_int_t test_load(test_world_t *world);
static ngx_uint_t test_refused(test_world_t *world, u_char *buf,
    size_t size);
static ngx_uint_t test_told(const char *text);
static int test_child(ngx_int_t (*run)(test_world_t *world),
    test_world_t *world);


uint32_t               ngx_crc32_table256[256];

static struct timeval  test_now;
static ngx_log_t       test_log;
static u_char          test_logged[8192];
static u_char          test_dir[] = "/tmp/test_state.XXXXXX";
static u_char          test_buf[TEST_FILE];
static u_char          test_other[TEST_FILE];


/* the wall clock */

int
gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    *tv = test_now;
    return 0;
}


ngx_err_t
ngx_trylock_fd(ngx_fd_t fd)
{
    struct flock  fl;

    ngx_memzero(&fl, sizeof(struct flock));
    fl.l_type = F_WRLCK;
    fl.l_whence = SEEK_SET;

    return (fcntl(fd, F_SETLK, &fl) == -1) ? ngx_errno : 0;
}


ngx_int_t
ngx_copy_file(u_char *from, u_char *to, ngx_copy_file_t *cf)
{
    ssize_t         n;
    ngx_fd_t        fd;
    static u_char   buf[TEST_FILE];

    fd = ngx_open_file(from, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    n = read(fd, buf, sizeof(buf));
    (void) ngx_close_file(fd);

    fd = ngx_open_file(to, NGX_FILE_WRONLY, NGX_FILE_TRUNCATE, cf->access);
    n = (write(fd, buf, n) == n) ? NGX_OK : NGX_ERROR;
    (void) ngx_close_file(fd);

    return n;
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    size_t   used;
    u_char  *p;
    va_list  args;

    used = ngx_strlen(test_logged);

    va_start(args, fmt);
    p = ngx_vslprintf(test_logged + used,
                      test_logged + sizeof(test_logged) - 64, fmt, args);
    va_end(args);

    (void) ngx_sprintf(p, " (%d)%N%Z", (int) err);
}


static void
test_crc_init(void)
{
    uint32_t  i, k, c;

    for (i = 0; i < 256; i++) {
        c = i;

        for (k = 0; k < 8; k++) {
            c = (c & 1) ? (c >> 1) ^ 0xedb88320 : c >> 1;
        }

        ngx_crc32_table256[i] = c;
    }
}


/* the first n of the bots are configured */

static void
test_world(test_world_t *world, size_t room, ngx_uint_t n)
{
    void        *users[TEST_BOTS];
    ngx_uint_t   i;

    static const char  *name[] = { "shop", "news" };

    ngx_memzero(world, sizeof(test_world_t));

    for (i = 0; i < TEST_BOTS; i++) {
        world->queues[i] = queue_bot(name[i], 42 + i, 100, 50);
        world->seens[i] = seen_bot(name[i], 42 + i, TEST_WINDOW);

        queue_string(world->deads[i].bot, name[i]);
        world->deads[i].bot_id = 42 + i;
        world->deads[i].max = 100;
    }

    world->zones[0] = queue_zone(world->queues, n, room);

    test_dead_users(world, users, n);
    world->zones[1] = unit_zone(&ngx_http_tgbot_dead_zone, room, users, n);

    for (i = 0; i < n; i++) {
        world->deads[i].zone = world->zones[1];
    }

    world->zones[1]->sh->generation++;

    world->zones[2] = seen_zone(world->seens, n);

    world->state.path.data = test_path("");
    world->state.path.len = ngx_strlen(world->state.path.data);
    world->state.zones.elts = world->zones;
    world->state.zones.nelts = 3;
    world->state.zones.size = sizeof(void *);
    world->state.all = 1;
}


static void
test_dead_users(test_world_t *world, void **users, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        users[i] = &world->deads[i];
    }
}


static void
test_world_end(test_world_t *world)
{
    ngx_uint_t  i;

    ok(queue_walk(world->zones[0]));

    for (i = 0; i < 3; i++) {
        unit_zone_free(world->zones[i]);

        if (world->old[i]) {
            unit_zone_free(world->old[i]);
        }
    }

    ngx_free(world->state.path.data);
}


/* queues and letters of the first n bots only */

static void
test_world_reload(test_world_t *world, ngx_uint_t n)
{
    void        *users[TEST_BOTS];
    ngx_uint_t   i;

    world->old[0] = world->zones[0];
    world->zones[0] = queue_reload(world->old[0], world->queues, n);

    test_dead_users(world, users, n);

    world->old[1] = world->zones[1];
    world->zones[1] = unit_zone_adopt(world->old[1], users, n);

    for (i = 0; i < n; i++) {
        world->deads[i].zone = world->zones[1];
    }

    world->zones[1]->sh->generation++;
}


static void
test_fill(test_world_t *world)
{
    ngx_uint_t  i;

    test_fill_queue(world);
    test_fill_dead(world);

    for (i = 0; i < 20; i++) {
        ok(seen_new(&world->seens[0], 870000000 + i * 3));
        ok(seen_new(&world->seens[1], 5000 + i));
        ok(seen_new(&world->seens[1], 900000000 + i));
    }
}


/* lanes in all of their states */

static void
test_fill_queue(test_world_t *world)
{
    u_char                        buf[2048];
    ngx_msec_t                    age;
    ngx_uint_t                    i;
    ngx_http_tgbot_item_t         item;
    ngx_http_tgbot_queue_taken_t  taken;

    for (i = 0; i < 12; i++) {
        item = queue_item(1000 + i, i % 4, "update");
        item.head.life = 86400 - i;

        if (i == 5) {
            ngx_memset(buf, 'd', 1500);
            item.data.data = buf;
            item.data.len = 1500;
        }

        if (i == 6) {
            item.data.len = 0;
        }

        is_int(ngx_http_tgbot_queue_put(&world->queues[0], &item,
                                        NGX_HTTP_TGBOT_QUEUE_ACCEPTED, &age),
               NGX_OK);

        ngx_current_msec += 100;
    }

    /* lane 0 is in backoff, and answered */

    is_int(ngx_http_tgbot_queue_take(&world->queues[0], &taken, &age),
           NGX_OK);
    is_int(ngx_http_tgbot_queue_read(&world->queues[0], &taken, &item, buf),
           NGX_OK);
    is_int(item.head.update_id, 1000);

    item.answered = 1;
    queue_string(item.answer, "answer");
    item.progress.attempts = 3;
    item.progress.unavailable = 4;
    item.progress.next = 5;
    item.progress.failures = 6;
    item.progress.unknown = 7;
    item.progress.started = ngx_current_msec - 777;

    is_int(ngx_http_tgbot_queue_give(&world->queues[0], &taken, &item, 90000,
                                     NGX_HTTP_TGBOT_QUEUE_UNTRIED),
           NGX_OK);

    /* lane 1 has an empty answer, and is in flight */

    is_int(ngx_http_tgbot_queue_take(&world->queues[0], &taken, &age),
           NGX_OK);
    is_int(ngx_http_tgbot_queue_read(&world->queues[0], &taken, &item, buf),
           NGX_OK);

    item.answered = 1;
    item.answer.len = 0;

    is_int(ngx_http_tgbot_queue_give(&world->queues[0], &taken, &item, 0,
                                     NGX_HTTP_TGBOT_QUEUE_UNTRIED),
           NGX_OK);
    is_int(ngx_http_tgbot_queue_take(&world->queues[0], &taken, &age),
           NGX_OK);

    is_int(queue_put(&world->queues[1], 2000, 1), NGX_OK);
    is_int(queue_put(&world->queues[1], 2001, 1), NGX_OK);
}


static void
test_fill_dead(test_world_t *world)
{
    ngx_uint_t               i, evicted;
    ngx_http_tgbot_dead_t   *dead;
    ngx_http_tgbot_letter_t  letter;

    for (i = 0; i < 5; i++) {
        dead = &world->deads[i / 3];

        if (dead->zone == NULL) {
            dead = &world->deads[0];
        }

        ngx_memzero(&letter, sizeof(ngx_http_tgbot_letter_t));

        letter.item.head.update_id = 3000 + i;
        letter.item.head.lane = i;
        letter.end.cause = i % NGX_HTTP_TGBOT_DEAD_CAUSES;
        letter.end.status = 500 + i;
        letter.item.progress.attempts = 10 + i;
        letter.end.first = 1700000000 + i;
        letter.end.last = 1700005000 + i;
        letter.item.progress.next = i;
        queue_string(letter.item.data, "a letter");

        if (i % 2) {
            letter.item.answered = 1;
            queue_string(letter.item.answer, "its calls");
        }

        is_int(ngx_http_tgbot_dead_put(dead, &letter, &evicted),
               NGX_OK);
    }
}


/* the data of a world as text, to compare it */

static void
test_dump(test_world_t *world, ngx_str_t *dump)
{
    u_char      *p, *last;
    int64_t      ids[TEST_WINDOW];
    ngx_uint_t   i, k, n;

    static u_char  buf[2][128 * 1024];
    static int     which;

    which = !which;

    dump->data = buf[which];
    last = buf[which] + sizeof(buf[which]) - 1;

    p = test_dump_queue(world->zones[0], dump->data, last);
    p = test_dump_dead(world->zones[1], p, last);

    for (i = 0; i < TEST_BOTS; i++) {

        if (world->seens[i].zone == NULL) {
            continue;
        }

        n = ngx_http_tgbot_dedup_newest(&world->seens[i], ids, TEST_WINDOW);

        for (k = 0; k < n; k++) {
            p = ngx_slprintf(p, last, "%L ", ids[k]);
        }

        p = ngx_slprintf(p, last, "of %V%N", &world->seens[i].bot);
    }

    dump->len = p - dump->data;
    *p = '\0';
}


static u_char *
test_dump_queue(ngx_http_tgbot_zone_t *zone, u_char *p, u_char *last)
{
    ngx_pool_t                     *pool;
    ngx_http_tgbot_head_t          *head;
    ngx_http_tgbot_item_t           item;
    ngx_http_tgbot_progress_t      *progress;
    ngx_http_tgbot_store_cursor_t   cursor;

    ngx_memzero(&cursor, sizeof(ngx_http_tgbot_store_cursor_t));

    pool = ngx_create_pool(1024, ngx_cycle->log);

    while (ngx_http_tgbot_queue_walk(zone, &cursor, &item, pool) == NGX_OK) {
        head = &item.head;
        progress = &item.progress;

        p = ngx_slprintf(p, last, "%*s/%uL %L of %uL, age %M of %uD, "
                         "%uD failed, %uD unavailable, next %uD, "
                         "%uD failures, %uD unknown, since %M, delay %M, "
                         "\"%V\", %s\"%V\"%N",
                         (size_t) head->bot_len, head->bot, head->bot_id,
                         head->update_id, head->lane,
                         ngx_current_msec - head->received, head->life,
                         progress->attempts, progress->unavailable,
                         progress->next, progress->failures,
                         progress->unknown,
                         progress->failures
                             ? ngx_current_msec - progress->started : 0,
                         item.delay, &item.data,
                         item.answered ? "answered " : "", &item.answer);
    }

    ngx_destroy_pool(pool);

    return p;
}


static u_char *
test_dump_dead(ngx_http_tgbot_zone_t *zone, u_char *p, u_char *last)
{
    ngx_pool_t                     *pool;
    ngx_http_tgbot_head_t          *head;
    ngx_http_tgbot_letter_t         letter;
    ngx_http_tgbot_store_cursor_t   cursor;

    ngx_memzero(&cursor, sizeof(ngx_http_tgbot_store_cursor_t));

    pool = ngx_create_pool(1024, ngx_cycle->log);

    while (ngx_http_tgbot_dead_walk(zone, &cursor, &letter, pool) == NGX_OK) {
        head = &letter.item.head;

        p = ngx_slprintf(p, last, "%*s/%uL %L of %uL, cause %uD, status %uD, "
                         "%uD attempts, %L to %L, next %uD, \"%V\", "
                         "%s\"%V\"%N",
                         (size_t) head->bot_len, head->bot, head->bot_id,
                         head->update_id, head->lane, letter.end.cause,
                         letter.end.status, letter.item.progress.attempts,
                         letter.end.first, letter.end.last,
                         letter.item.progress.next, &letter.item.data,
                         letter.item.answered ? "answered " : "",
                         &letter.item.answer);
    }

    ngx_destroy_pool(pool);

    return p;
}


static ngx_uint_t
test_empty(test_world_t *world)
{
    int64_t                        ids[1];
    ngx_uint_t                     i;
    ngx_http_tgbot_queue_state_t   queue;
    ngx_http_tgbot_dead_state_t    dead;
    ngx_http_tgbot_store_t         store;

    for (i = 0; i < TEST_BOTS; i++) {

        if (world->seens[i].zone == NULL) {
            continue;
        }

        ngx_http_tgbot_queue_state(&world->queues[i], &queue);
        ngx_http_tgbot_dead_state(&world->deads[i], &dead);

        if (queue.waiting || queue.events[NGX_HTTP_TGBOT_QUEUE_LOADED]
            || dead.letters
            || ngx_http_tgbot_dedup_newest(&world->seens[i], ids, 1))
        {
            return 0;
        }
    }

    for (i = 0; i < 2; i++) {
        ngx_http_tgbot_store_open(&store, world->zones[i]);

        if (store.sh->seq || store.sh->items || store.sh->chain.used
            || world->zones[i]->rt->dirty)
        {
            return 0;
        }
    }

    return 1;
}


/* the path of the file, allocated; with a suffix it is in a static buffer */

static u_char *
test_path(const char *suffix)
{
    u_char  *p;

    static u_char  buf[256];

    p = *suffix ? buf : ngx_alloc(256, ngx_cycle->log);

    (void) ngx_snprintf(p, 256, "%s/file%s%Z", test_dir,
                        (*suffix == '/') ? "" : suffix);

    return p;
}


static ngx_uint_t
test_exists(const char *suffix)
{
    struct stat  st;

    return lstat((char *) test_path(suffix), &st) == 0;
}


/* suffix "/": the file itself */

static size_t
test_get(const char *suffix, u_char *buf)
{
    int      fd;
    ssize_t  n;

    fd = open((char *) test_path(suffix), O_RDONLY);
    n = read(fd, buf, TEST_FILE);
    close(fd);

    return (n > 0) ? n : 0;
}


static void
test_put(u_char *buf, size_t size)
{
    int  fd;

    fd = open((char *) test_path("/"), O_WRONLY|O_CREAT|O_TRUNC, 0600);
    ok(write(fd, buf, size) == (ssize_t) size);
    close(fd);
}


/* makes the checksum right again */

static void
test_seal(u_char *buf, size_t size)
{
    uint32_t                        crc;
    ngx_http_tgbot_state_header_t  *header;

    header = (ngx_http_tgbot_state_header_t *) buf;

    ngx_crc32_init(crc);
    ngx_crc32_update(&crc, buf + sizeof(ngx_http_tgbot_state_header_t),
                     size - sizeof(ngx_http_tgbot_state_header_t));
    ngx_crc32_update(&crc, buf,
                     offsetof(ngx_http_tgbot_state_header_t, crc));
    ngx_crc32_final(crc);

    header->crc = crc;
}


static void
test_clean(void)
{
    DIR            *dir;
    char            name[600];
    struct dirent  *de;

    dir = opendir((char *) test_dir);

    while ((de = readdir(dir)) != NULL) {
        snprintf(name, sizeof(name), "%s/%s", (char *) test_dir, de->d_name);

        if (unlink(name) == -1) {
            (void) rmdir(name);
        }
    }

    closedir(dir);

    test_logged[0] = '\0';
}


static ngx_int_t
test_load(test_world_t *world)
{
    test_logged[0] = '\0';

    return ngx_http_tgbot_state_load(&world->state, 0, &test_log);
}


/* loads a file with these bytes; it is set aside and nothing is loaded */

static ngx_uint_t
test_refused(test_world_t *world, u_char *buf, size_t size)
{
    static u_char  bad[TEST_FILE];

    test_put(buf, size);

    return test_load(world) == NGX_ERROR
           && test_empty(world)
           && world->state.file == NULL
           && test_logged[0]
           && !test_exists("/")
           && test_get(".bad", bad) == size
           && ngx_memcmp(bad, buf, size) == 0
           && unlink((char *) test_path(".bad")) == 0;
}


static ngx_uint_t
test_told(const char *text)
{
    if (ngx_strstr(test_logged, text)) {
        return 1;
    }

    fprintf(stderr, "# told: %s", test_logged);

    return 0;
}


/* runs in another process; 100 and more: the process died */

static int
test_child(ngx_int_t (*run)(test_world_t *world), test_world_t *world)
{
    int    status;
    pid_t  pid;

    pid = fork();

    if (pid == 0) {
        _exit(50 + (int) run(world));
    }

    waitpid(pid, &status, 0);

    return WIFEXITED(status) ? WEXITSTATUS(status) - 50 : 100;
}


/* an update that is in the queue and a dead letter is in the file once */

static void
test_moved(void)
{
    u_char                        buf[64];
    uint64_t                      ids[5];
    ngx_uint_t                    i, left;
    ngx_msec_t                    age;
    test_world_t                  one, two;
    ngx_http_tgbot_item_t         item;
    ngx_http_tgbot_lease_t        lease;
    ngx_http_tgbot_letter_t       list[5];
    ngx_http_tgbot_queue_taken_t  taken;

    test_world(&one, TEST_ROOM, TEST_BOTS);
    test_fill_dead(&one);

    is_int(ngx_http_tgbot_dead_list(&one.deads[0], 0, list, 5), 3);

    /* an update in both, one replayed without success, one not replayed */

    for (i = 0; i < 2; i++) {
        ids[i] = list[i].id;
        is_int(ngx_http_tgbot_dead_lease(&one.deads[0], ids[i], &lease,
                                         &left),
               NGX_OK);
    }

    item = queue_item(list[0].item.head.update_id, list[0].item.head.lane,
                      "a letter");
    item.head.letter = ids[0];
    is_int(ngx_http_tgbot_queue_put(&one.queues[0], &item,
                                    NGX_HTTP_TGBOT_QUEUE_REPLAYED, &age),
           NGX_OK);

    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);
    ok(test_told("1 updates and 4 dead letters are kept in"));

    test_world(&two, TEST_ROOM, TEST_BOTS);
    is_int(test_load(&two), NGX_OK);

    is_int(ngx_http_tgbot_dead_list(&two.deads[0], 0, list, 5), 2);
    is_int(list[0].item.head.update_id, 3001);
    is_int(list[1].item.head.update_id, 3002);

    is_int(queue_take(&two.queues[0], &taken, NULL), 3000);

    /* letters in another zone have other ids */

    is_int(ngx_http_tgbot_queue_read(&two.queues[0], &taken, &item, buf),
           NGX_OK);
    is_int(item.head.update_id, 3000);
    is_int(item.head.letter, 0);

    ngx_http_tgbot_state_close(&two.state);

    test_world_end(&one);
    test_world_end(&two);
    test_clean();
}


static void
test_round_trip(void)
{
    ngx_str_t                     before, after;
    struct stat                   st;
    test_world_t                  one, two;
    ngx_http_tgbot_queue_state_t  state;

    test_world(&one, TEST_ROOM, TEST_BOTS);
    test_fill(&one);

    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);
    ok(test_told("14 updates and 5 dead letters are kept in"));

    is_int(stat((char *) one.state.path.data, &st), 0);
    is_int(st.st_mode & 07777, 0600);
    ok(!test_exists(".tmp"));
    ok(test_exists(".lock"));

    test_world(&two, TEST_ROOM, TEST_BOTS);

    is_int(test_load(&two), NGX_OK);
    ok(test_told("14 updates and 5 dead letters are loaded from"));
    is_int(two.state.left, 0);

    test_dump(&one, &before);
    test_dump(&two, &after);
    is_same(&after, &before);

    ngx_http_tgbot_queue_state(&two.queues[0], &state);
    is_int(state.waiting, 12);
    is_int(state.delayed, 1);
    is_int(state.inflight, 0);
    is_int(state.lanes, 4);
    is_int(state.events[NGX_HTTP_TGBOT_QUEUE_LOADED], 12);
    is_int(state.events[NGX_HTTP_TGBOT_QUEUE_ACCEPTED], 0);

    /* an accepted update is not accepted again */

    ok(!seen_new(&two.seens[0], 870000000));
    ok(!seen_new(&two.seens[1], 5019));
    ok(seen_new(&two.seens[0], 870000001));

    /* the file stays until it is known that it will not be needed */

    ok(test_exists("/"));
    ok(two.state.file != NULL);
    is_int(ngx_http_tgbot_state_remove(&two.state, &test_log), NGX_OK);
    ok(two.state.file == NULL);
    ok(!test_exists("/"));
    is_int(test_load(&two), NGX_DECLINED);
    is_int(test_logged[0], 0);

    test_world_end(&one);
    test_world_end(&two);
    test_clean();
}


/* lanes keep their order */

static void
test_order(void)
{
    int64_t                       id, last[4];
    ngx_uint_t                    i, n;
    test_world_t                  one, two;
    ngx_http_tgbot_queue_taken_t  taken;

    test_world(&one, TEST_ROOM, TEST_BOTS);

    for (i = 0; i < 60; i++) {
        is_int(queue_put(&one.queues[0], 1 + i, i * i % 4), NGX_OK);
    }

    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);

    test_world(&two, TEST_ROOM, TEST_BOTS);
    is_int(test_load(&two), NGX_OK);
    ngx_http_tgbot_state_close(&two.state);

    ngx_memzero(last, sizeof(last));

    for (n = 0; n < 60; n++) {
        id = queue_take(&two.queues[0], &taken, NULL);

        ok(id > last[(id - 1) * (id - 1) % 4]);
        last[(id - 1) * (id - 1) % 4] = id;

        is_int(queue_done(&two.queues[0], &taken), NGX_OK);
    }

    is_int(queue_take(&two.queues[0], &taken, NULL), -1);

    test_world_end(&one);
    test_world_end(&two);
    test_clean();
}


/* the newest of many ids, and the ids known before */

static void
test_ids(void)
{
    ngx_uint_t    i;
    test_world_t  one, two;

    test_world(&one, TEST_ROOM, TEST_BOTS);

    for (i = 0; i < 5000; i++) {
        (void) seen_new(&one.seens[0], 1000000 + i);
    }

    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);

    test_world(&two, TEST_ROOM, TEST_BOTS);

    for (i = 5500; i < 5600; i++) {
        ok(seen_new(&two.seens[0], 1000000 + i));
    }

    is_int(test_load(&two), NGX_OK);
    ngx_http_tgbot_state_close(&two.state);

    ok(!seen_new(&two.seens[0], 1000000 + 4999));
    ok(!seen_new(&two.seens[0], 1000000 + 5000 - NGX_HTTP_TGBOT_STATE_IDS));
    ok(seen_new(&two.seens[0], 1000000 + 4999 - NGX_HTTP_TGBOT_STATE_IDS));
    ok(seen_new(&two.seens[0], 1000000 + 5000));
    ok(!seen_new(&two.seens[0], 1000000 + 5500));
    ok(seen_walk(&two.seens[0]));

    test_world_end(&one);
    test_world_end(&two);
    test_clean();
}


/* time passes while no process runs, and the monotonic clock restarts */

static void
test_time(void)
{
    ngx_str_t     before, after;
    ngx_msec_t    now;
    ngx_uint_t    i;
    test_world_t  one, two;

    static struct {
        ngx_uint_t  passed;              /* ms */
        ngx_uint_t  reboot;
        ngx_uint_t  back;                /* of the wall clock, s */
    } cases[] = {
        { 0, 0, 0 },
        { 67500, 0, 0 },
        { 85000, 0, 0 },
        { 3600001, 0, 0 },
        { 86400000, 1, 0 },
        { 0, 0, 1000000 },
        { 0, 1, 1000000 },
    };

    now = ngx_current_msec;

    for (i = 0; i < unit_n(cases); i++) {
        unit_context("%u ms", (unsigned) cases[i].passed);

        test_now.tv_sec = 1700000000;
        test_now.tv_usec = 499000;

        test_world(&one, TEST_ROOM, TEST_BOTS);
        test_fill(&one);

        /* 85 s of the retry's delay are left then */

        ngx_current_msec += 5000;
        is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);

        ngx_current_msec += cases[i].passed;
        test_now.tv_sec += cases[i].passed / 1000;
        test_now.tv_usec += cases[i].passed % 1000 * 1000;
        test_now.tv_sec -= cases[i].back;

        test_dump(&one, &before);

        if (cases[i].reboot) {
            ngx_current_msec = 10;
        }

        test_world(&two, TEST_ROOM, TEST_BOTS);
        is_int(test_load(&two), NGX_OK);
        ngx_http_tgbot_state_close(&two.state);

        test_dump(&two, &after);
        is_same(&after, &before);

        test_world_end(&one);
        test_world_end(&two);
        test_clean();

        ngx_current_msec = now;
    }
}


/* the file truncated at each length, and with each bit changed */

static void
test_broken(void)
{
    size_t        size, i, bad;
    test_world_t  one, two;

    test_world(&one, TEST_ROOM, 1);
    is_int(queue_put(&one.queues[0], 1, 1), NGX_OK);
    is_int(queue_put(&one.queues[0], 2, 1), NGX_OK);
    test_fill_dead(&one);
    ok(seen_new(&one.seens[0], 7));

    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);
    size = test_get("/", test_buf);
    ok(size > 500 && size < 2000);

    test_world(&two, TEST_ROOM, 1);
    bad = 0;

    for (i = 1; i < size; i++) {
        unit_context("%u bytes", (unsigned) i);
        bad += !ok(test_refused(&two, test_buf, i));
    }

    for (i = 0; i < size * 8 && bad < 5; i++) {
        unit_context("bit %u", (unsigned) i);
        test_buf[i / 8] ^= 1 << i % 8;
        bad += !ok(test_refused(&two, test_buf, size));
        test_buf[i / 8] ^= 1 << i % 8;
    }

    unit_context("%s", "");

    test_buf[size] = 0;
    ok(test_refused(&two, test_buf, size + 1));
    ok(test_told("something was added"));

    test_put(test_buf, 0);
    is_int(test_load(&two), NGX_DECLINED);
    ok(test_empty(&two));

    test_put(test_buf, size);
    is_int(test_load(&two), NGX_OK);
    ngx_http_tgbot_state_close(&two.state);

    test_world_end(&one);
    test_world_end(&two);
    test_clean();
}


/* files with valid checksums and invalid contents */

static void
test_foreign(void)
{
    size_t                           size, at;
    ngx_uint_t                       i;
    test_world_t                     one, two;
    ngx_http_tgbot_state_header_t   *header;
    ngx_http_tgbot_state_record_t   *record, r;

    test_world(&one, TEST_ROOM, TEST_BOTS);
    test_fill(&one);
    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);

    size = test_get("/", test_other);
    header = (ngx_http_tgbot_state_header_t *) test_buf;

    test_world(&two, TEST_ROOM, TEST_BOTS);

#define test_header(change, text)                                            \
    ngx_memcpy(test_buf, test_other, size);                                  \
    change;                                                                  \
    test_seal(test_buf, size);                                               \
    ok(test_refused(&two, test_buf, size));                                  \
    ok(test_told(text))

    test_header(header->version = 4, "newer version");
    test_header(header->version = 2, "another version");
    test_header(header->version = 1, "another version");
    test_header(header->version = 0, "another version");
    test_header(header->order = 0x04030201, "another kind of machine");
    test_header(header->magic[7]++, "no state file");
    test_header(header->record -= 8, "another version");
    test_header(header->size++, "truncated");
    test_header(header->size--, "added");
    test_header(header->records++, "records are broken");
    test_header(header->records--, "records are broken");
    test_header(header->records = 0, "records are broken");
    test_header((header->done = 1000, header->check = ~header->done),
                "is broken");

    /* in each record */

    for (i = 0, at = sizeof(ngx_http_tgbot_state_header_t);
         at < size;
         i++, at += sizeof(r) + r.data_len + r.answer_len)
    {
        unit_context("record %u", (unsigned) i);

        ngx_memcpy(&r, test_other + at, sizeof(r));
        record = &r;

#define test_record(change, back)                                            \
        ngx_memcpy(test_buf, test_other, size);                              \
        change;                                                              \
        ngx_memcpy(test_buf + at, record, sizeof(r));                        \
        back;                                                                \
        test_seal(test_buf, size);                                           \
        ok(test_refused(&two, test_buf, size));                              \
        ok(test_told("records are broken"))

        test_record(r.kind += 10, r.kind -= 10);
        test_record(r.kind -= 10, r.kind += 10);
        test_record(r.head.bot_len += 100, r.head.bot_len -= 100);
        test_record(r.data_len += 0x80000000, r.data_len -= 0x80000000);
        test_record(r.answer_len += 0xf0000000, r.answer_len -= 0xf0000000);
        test_record(r.answered += 2, r.answered -= 2);

        if (r.kind == NGX_HTTP_TGBOT_STATE_LETTER) {
            test_record(r.end.cause += 3, r.end.cause -= 3);
        }

        if (r.kind == NGX_HTTP_TGBOT_STATE_DEDUP) {

            /* a byte less of the ids, and one more of an answer */

            test_record((r.data_len--, r.answered = 1, r.answer_len++),
                        (r.data_len++, r.answered = 0, r.answer_len--));
        }
    }

    is_int(at, size);
    is_int(i, 14 + 5 + 2);
    unit_context("%s", "");

    /* invalid numbers */

    at = sizeof(ngx_http_tgbot_state_header_t);
    ngx_memcpy(&r, test_other + at, sizeof(r));
    r.head.received = INT64_MAX;
    r.progress.failures = 1;
    r.progress.started = (ngx_msec_t) INT64_MIN;
    r.delay = (ngx_msec_t) -1;
    ngx_memcpy(test_other + at, &r, sizeof(r));
    header = (ngx_http_tgbot_state_header_t *) test_other;
    header->time = -1000;
    test_seal(test_other, size);
    test_put(test_other, size);
    is_int(test_load(&two), NGX_OK);
    ngx_http_tgbot_state_close(&two.state);

    test_world_end(&one);
    test_world_end(&two);
    test_clean();
}


/* if the disk is full at any point, the old file stays */

static void
test_full_disk(void)
{
    size_t         size, limit;
    test_world_t   one;
    struct rlimit  saved, rl;

    test_world(&one, TEST_ROOM, TEST_BOTS);
    test_fill(&one);

    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);
    size = test_get("/", test_buf);

    test_put((u_char *) "what was there", 14);

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &saved);
    rl = saved;

    for (limit = 0; limit < size; limit += 1 + size / 200) {
        unit_context("%u bytes", (unsigned) limit);

        test_logged[0] = '\0';
        rl.rlim_cur = limit;
        setrlimit(RLIMIT_FSIZE, &rl);

        is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_ERROR);

        setrlimit(RLIMIT_FSIZE, &saved);

        ok(test_told("pwrite() \"/tmp/"));
        ok(!test_exists(".tmp"));
        is_int(test_get("/", test_other), 14);
        ok(ngx_memcmp(test_other, "what was there", 14) == 0);
    }

    unit_context("%s", "");

    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);
    is_int(test_get("/", test_other), size);

    test_world_end(&one);
    test_clean();
}


/* other obstacles */

static void
test_names(void)
{
    char          to[256];
    u_char        name[NGX_MAX_PATH + 8], *path;
    ngx_uint_t    i;
    struct stat   st;
    test_world_t  one, two;

    test_world(&one, TEST_ROOM, TEST_BOTS);
    test_fill(&one);
    test_world(&two, TEST_ROOM, TEST_BOTS);

    snprintf(to, sizeof(to), "%s/elsewhere", (char *) test_dir);

    /* a symbolic link in place of the file */

    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);
    is_int(rename((char *) one.state.path.data, to), 0);
    is_int(symlink(to, (char *) one.state.path.data), 0);

    is_int(test_load(&two), NGX_ERROR);
    ok(test_empty(&two));
    ok(test_told("is kept as"));
    ok(!test_exists("/"));
    is_int(lstat((char *) test_path(".bad"), &st), 0);
    ok(S_ISLNK(st.st_mode));

    /* a symbolic link at the path is replaced, not followed */

    is_int(symlink("nowhere", (char *) one.state.path.data), 0);
    is_int(symlink(to, (char *) test_path(".tmp")), 0);
    is_int(stat(to, &st), 0);
    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);
    is_int(lstat((char *) one.state.path.data, &st), 0);
    ok(S_ISREG(st.st_mode));
    ok(!test_exists(".tmp"));

    /* a second rejected file is kept next to the first */

    test_put((u_char *) "garbage", 7);
    is_int(test_load(&two), NGX_ERROR);
    ok(test_told("file.bad."));
    is_int(lstat((char *) test_path(".bad"), &st), 0);
    ok(S_ISLNK(st.st_mode));
    test_clean();

    is_int(symlink(to, (char *) test_path(".lock")), 0);
    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_ERROR);
    ok(!test_exists("/"));
    ok(stat(to, &st) == -1);
    test_clean();

    is_int(mkdir((char *) one.state.path.data, 0700), 0);
    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_ERROR);
    ok(test_told("rename() \"/tmp/"));
    ok(!test_exists(".tmp"));
    is_int(test_load(&two), NGX_ERROR);
    test_clean();

    is_int(mkfifo((char *) one.state.path.data, 0600), 0);
    is_int(test_load(&two), NGX_ERROR);
    ok(test_told("no regular file"));
    test_clean();

    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);
    is_int(chmod((char *) one.state.path.data, 0620), 0);
    is_int(test_load(&two), NGX_ERROR);
    ok(test_told("others may write"));
    test_clean();

    /* a missing directory, and a path that is too long */

    path = one.state.path.data;
    one.state.path.data = (u_char *) "/tmp/test_state.none/file";
    one.state.path.len = 25;
    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_ERROR);
    ok(test_told("open() \"/tmp/test_state.none/file.lock\" failed (2)"));

    for (i = 0; i < NGX_MAX_PATH + 8; i++) {
        name[i] = '/';
    }

    one.state.path.data = name;
    one.state.path.len = NGX_MAX_PATH - 3;
    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_ERROR);
    ok(test_told("too long"));

    one.state.path.data = path;

    ok(test_empty(&two));

    test_world_end(&one);
    test_world_end(&two);
    test_clean();
}


/* a process that holds the lock, does not write, and dies */

static ngx_int_t
test_child_write(test_world_t *world)
{
    return ngx_http_tgbot_state_write(&world->state, &test_log);
}


static ngx_int_t
test_child_load(test_world_t *world)
{
    world->state.file = NULL;

    return ngx_http_tgbot_state_load(&world->state, 3, &test_log);
}


static void
test_locked(void)
{
    int           fd;
    test_world_t  one, two;

    test_world(&one, TEST_ROOM, TEST_BOTS);
    test_fill(&one);

    fd = open((char *) test_path(".lock"), O_RDWR|O_CREAT, 0600);
    is_int(ngx_trylock_fd(fd), 0);

    is_int(test_child(test_child_write, &one), NGX_ERROR);
    ok(!test_exists("/"));

    close(fd);

    is_int(test_child(test_child_write, &one), NGX_OK);
    ok(test_exists("/"));

    test_world(&two, TEST_ROOM, TEST_BOTS);

    is_int(ngx_http_tgbot_state_load(&two.state, 3, &test_log), NGX_AGAIN);
    is_int(test_child(test_child_load, &two), NGX_BUSY);
    is_int(ngx_http_tgbot_state_load(&two.state, 1000, &test_log), NGX_OK);

    /* busy until that process is gone, too */

    is_int(test_child(test_child_load, &two), NGX_BUSY);
    is_int(ngx_http_tgbot_state_remove(&two.state, &test_log), NGX_OK);
    is_int(test_child(test_child_load, &two), NGX_DECLINED);

    test_world_end(&one);
    test_world_end(&two);
    test_clean();
}


/* several loaders die one after the other; each record is loaded once */

static void
test_steps(void)
{
    ngx_int_t     rc;
    ngx_str_t     before, after;
    ngx_uint_t    i, n;
    test_world_t  one, two;

    for (n = 1; n < 25; n += 4) {
        unit_context("%u at a time", (unsigned) n);

        test_world(&one, TEST_ROOM, TEST_BOTS);
        test_fill(&one);
        is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);

        test_world(&two, TEST_ROOM, TEST_BOTS);

        for (i = 0; i < 100; i++) {
            rc = ngx_http_tgbot_state_load(&two.state, n, &test_log);

            if (rc != NGX_AGAIN) {
                break;
            }

            if (i % 3 == 2) {
                ngx_http_tgbot_state_close(&two.state);
            }
        }

        is_int(rc, NGX_OK);
        is_int(i, (14 + 5 + 2 - 1) / n);

        test_dump(&one, &before);
        test_dump(&two, &after);
        is_same(&after, &before);

        /* a loader that dies before the unlink has loaded every record */

        ngx_http_tgbot_state_close(&two.state);
        is_int(ngx_http_tgbot_state_load(&two.state, n, &test_log), NGX_OK);
        ngx_http_tgbot_state_close(&two.state);
        is_int(test_load(&two), NGX_OK);
        ngx_http_tgbot_state_close(&two.state);

        test_dump(&two, &after);
        is_same(&after, &before);

        test_world_end(&one);
        test_world_end(&two);
        test_clean();
    }
}


/* records without room in a zone are loaded later */

static void
test_no_room(void)
{
    int64_t                       id;
    ngx_int_t                     rc;
    ngx_uint_t                    i, n, waits;
    test_world_t                  one, two;
    ngx_http_tgbot_queue_taken_t  taken;

    test_world(&one, 2 * TEST_ROOM, 1);

    for (n = 0; queue_put(&one.queues[0], n, 1) == NGX_OK; n++) {
        /* void */
    }

    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);

    test_world(&two, 2 * TEST_ROOM, 1);

    for (i = 0; i < 100; i++) {
        is_int(queue_put(&two.queues[0], 100000 + i, 2), NGX_OK);
    }

    /* the file is not loaded completely */

    is_int(test_load(&two), NGX_ERROR);
    ok(test_told("blocks of zone \"unit\""));
    is_int(rename((char *) test_path(".bad"), (char *) one.state.path.data),
           0);
    is_int(ngx_http_tgbot_queue_items(two.zones[0]), 100);

    waits = 0;
    i = 0;

    do {
        rc = ngx_http_tgbot_state_load(&two.state, 64, &test_log);

        if (rc == NGX_AGAIN && ngx_http_tgbot_queue_room(two.zones[0]) == 0) {
            waits++;
            id = queue_take(&two.queues[0], &taken, NULL);

            if (id < 100000) {
                is_int(id, i++);
            }

            is_int(queue_done(&two.queues[0], &taken), NGX_OK);
        }

    } while (rc == NGX_AGAIN);

    is_int(rc, NGX_OK);
    ok(waits == 100);

    is_int(ngx_http_tgbot_state_remove(&two.state, &test_log), NGX_OK);

    for ( ;; ) {
        id = queue_take(&two.queues[0], &taken, NULL);

        if (id == -1) {
            break;
        }

        if (id < 100000) {
            is_int(id, i++);
        }

        is_int(queue_done(&two.queues[0], &taken), NGX_OK);
    }

    is_int(i, n);

    test_world_end(&one);
    test_world_end(&two);
    test_clean();
}


/* a smaller zone: all or nothing, and the error names the needed size */

static void
test_small(void)
{
    size_t        size, k;
    u_char       *p;
    ngx_str_t     before, after;
    ngx_uint_t    n, which;
    test_world_t  one, two;

    static const size_t  rooms[] = { 300000, 1000000, 5000000 };

    for (which = 0; which < 2; which++) {
        for (k = 0; k < unit_n(rooms); k++) {
            unit_context("%s, %u", which ? "letters" : "updates",
                         (unsigned) rooms[k]);

            test_world(&one, rooms[k], 1);

            if (which == 0) {
                for (n = 0; queue_put(&one.queues[0], n, n) == NGX_OK; n++) {
                    /* void */
                }

            } else {
                for (n = 0; n < rooms[k] / 6000; n++) {
                    test_fill_dead(&one);
                }
            }

            is_int(ngx_http_tgbot_state_write(&one.state, &test_log),
                   NGX_OK);

            test_world(&two, 64 * 1024, 1);
            is_int(test_load(&two), NGX_ERROR);
            ok(test_empty(&two));
            ok(test_exists(".bad"));
            ok(test_told("blocks of zone"));

            p = (u_char *) ngx_strstr(test_logged, "a size of ");
            size = p ? atol((char *) p + 10) * 1024 : 0;

            test_world_end(&two);

            is_int(rename((char *) test_path(".bad"),
                          (char *) one.state.path.data), 0);

            test_world(&two, size - 256, 1);
            is_int(test_load(&two), NGX_OK);
            is_int(ngx_http_tgbot_state_remove(&two.state, &test_log),
                   NGX_OK);

            if (rooms[k] < 1000000) {
                test_dump(&one, &before);
                test_dump(&two, &after);
                is_same(&after, &before);
            }

            is_int(ngx_http_tgbot_queue_items(two.zones[0]),
                   ngx_http_tgbot_queue_items(one.zones[0]));

            test_world_end(&one);
            test_world_end(&two);
            test_clean();
        }
    }
}


static const ngx_http_tgbot_zone_kind_t  test_kind = {
    99, "other", 0, NULL, NULL, NULL, 0
};


/* bots that are in no configuration */

static void
test_orphans(void)
{
    ngx_str_t                   before, after, mine;
    ngx_uint_t                  i;
    test_world_t                one, two;
    ngx_http_tgbot_queue_t      queue;

    test_world(&one, TEST_ROOM, TEST_BOTS);
    test_fill(&one);
    test_world_reload(&one, 1);

    is_int(ngx_http_tgbot_queue_orphaned(one.zones[0]), 2);
    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);

    /* this configuration does not have them, either */

    test_world(&two, TEST_ROOM, 1);
    is_int(test_load(&two), NGX_OK);
    is_int(two.state.left, 0);
    is_int(ngx_http_tgbot_queue_orphaned(two.zones[0]), 2);

    /* the same except the last line, which has the ids */

    test_dump(&one, &before);
    test_dump(&two, &after);
    before.len = (u_char *) ngx_strstr(before.data, "of shop\n")
                 - before.data;
    after.len = (u_char *) ngx_strstr(after.data, "of shop\n") - after.data;
    is_same(&after, &before);

    ngx_http_tgbot_state_close(&two.state);
    test_world_end(&two);

    /* no zone has an entry for these bots: records of others are loaded */

    test_world(&two, TEST_ROOM, 1);

    for (i = 0; i < 100; i++) {
        ngx_memzero(&queue, sizeof(ngx_http_tgbot_queue_t));
        queue.zone = two.zones[0];
        queue.bot.data = (u_char *) "0123456789abcdefghijklmnopqrstuvwxyz"
                         + i % 36;
        queue.bot.len = 1;
        queue.share = 100;

        if (ngx_http_tgbot_queue_enter(&queue) != NGX_OK) {
            break;
        }

        is_int(queue_put(&queue, 1, 1), NGX_OK);
    }

    ok(i < 36);

    is_int(test_load(&two), NGX_OK);
    ok(test_told("2 records of"));
    ok(test_exists("/"));
    ok(test_exists(".bad"));
    is_int(ngx_http_tgbot_state_remove(&two.state, &test_log), NGX_OK);
    ok(!test_exists("/"));
    ok(test_exists(".bad"));
    is_int(ngx_http_tgbot_queue_items(two.zones[0]), 12 + i);
    test_world_end(&two);
    test_clean();

    /* the file of one of several queues, without records of others */

    test_dump(&one, &before);
    one.state.all = 0;
    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);

    test_world(&two, TEST_ROOM, TEST_BOTS);
    is_int(test_load(&two), NGX_OK);
    ngx_http_tgbot_state_close(&two.state);

    is_int(ngx_http_tgbot_queue_items(two.zones[0]), 14);
    test_dump(&two, &mine);
    ok(ngx_strstr(mine.data, "shop/42 3002") != NULL);
    ok(ngx_strstr(mine.data, "news/43 3003") == NULL);
    ok(ngx_strstr(mine.data, "\nof news\n") != NULL);
    ok(ngx_strstr(mine.data, "870000057 of shop\n") != NULL);
    test_world_end(&two);

    /* dead letters without a zone are not lost */

    test_world(&two, TEST_ROOM, TEST_BOTS);
    two.zones[1]->kind = &test_kind;
    is_int(test_load(&two), NGX_OK);
    ok(test_told("3 records of"));
    is_int(ngx_http_tgbot_state_remove(&two.state, &test_log), NGX_OK);
    ok(test_exists(".bad"));

    /* a file that appeared in the meantime belongs to another process */

    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);
    is_int(test_load(&one), NGX_OK);
    ok(unlink((char *) one.state.path.data) == 0);
    test_put((u_char *) "another", 7);
    is_int(ngx_http_tgbot_state_remove(&one.state, &test_log), NGX_OK);
    is_int(test_get("/", test_buf), 7);
    two.zones[1]->kind = &ngx_http_tgbot_dead_zone;
    test_world_end(&two);

    test_world_end(&one);
    test_clean();
}


/* loads as another user: files of root, its own, of any user */

static ngx_int_t
test_child_other(test_world_t *world)
{
    ngx_int_t  rc;

    if (seteuid(TEST_NOBODY) == -1) {
        return NGX_ABORT;
    }

    rc = ngx_http_tgbot_state_load(&world->state, 1000, &test_log);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_tgbot_state_remove(&world->state, &test_log);
}


static void
test_owner(void)
{
    struct stat   st;
    test_world_t  one, two;

    if (geteuid() != 0) {
        unit_skip("only root can give files away");
        return;
    }

    test_world(&one, TEST_ROOM, TEST_BOTS);
    test_fill(&one);
    test_world(&two, TEST_ROOM, TEST_BOTS);

    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);
    is_int(stat((char *) one.state.path.data, &st), 0);
    is_int(st.st_uid, 0);

    /* the file cannot be opened */

    is_int(chmod((char *) test_dir, 0755), 0);
    is_int(test_child(test_child_other, &two), NGX_ERROR);
    ok(test_exists("/"));

    /* loaded, and truncated because it cannot be removed */

    one.state.uid = TEST_NOBODY;
    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);
    is_int(stat((char *) one.state.path.data, &st), 0);
    is_int(st.st_uid, TEST_NOBODY);
    is_int(st.st_mode & 07777, 0600);

    is_int(test_child(test_child_other, &two), NGX_OK);
    is_int(stat((char *) one.state.path.data, &st), 0);
    is_int(st.st_size, 0);
    is_int(test_child(test_child_other, &two), NGX_DECLINED);

    /* root loads files of no other users */

    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);
    is_int(test_load(&two), NGX_ERROR);
    ok(test_told("another user"));
    ok(test_empty(&two));
    test_clean();

    is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);
    two.state.uid = TEST_NOBODY;
    is_int(test_load(&two), NGX_OK);
    is_int(ngx_http_tgbot_state_remove(&two.state, &test_log), NGX_OK);
    ok(!test_exists("/"));

    is_int(chmod((char *) test_dir, 0700), 0);

    test_world_end(&one);
    test_world_end(&two);
    test_clean();
}


/* each allocation fails once */

static void
test_no_memory(void)
{
    ngx_int_t     rc;
    ngx_str_t     before, after;
    ngx_uint_t    i, done;
    test_world_t  one, two;

    test_world(&one, TEST_ROOM, TEST_BOTS);
    test_fill(&one);

    for (i = 1, done = 0; !done; i++) {
        unit_context("allocation %u", (unsigned) i);

        test_put((u_char *) "what was there", 14);

        unit_fail_at = i;
        rc = ngx_http_tgbot_state_write(&one.state, &test_log);
        done = (unit_fail_at != 0);
        unit_fail_at = 0;

        is_int(rc, done ? NGX_OK : NGX_ERROR);
        ok(!test_exists(".tmp"));
        ok(done || test_get("/", test_buf) == 14);
    }

    ok(i > 20);

    /* loaded completely, or in part with an error */

    for (i = 1, done = 0; !done; i++) {
        unit_context("as a whole, allocation %u", (unsigned) i);

        is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);
        test_world(&two, TEST_ROOM, TEST_BOTS);

        unit_fail_at = i;
        rc = test_load(&two);
        done = (unit_fail_at != 0);
        unit_fail_at = 0;

        is_int(rc, done ? NGX_OK : NGX_ERROR);
        ok(done || test_empty(&two) || test_told("of 21 records of"));
        ok(test_exists("/") || test_exists(".bad"));

        ngx_http_tgbot_state_close(&two.state);
        test_world_end(&two);
        test_clean();
    }

    ok(i > 20);

    /* in several steps no record is lost or loaded twice */

    for (i = 1, done = 0; !done; i++) {
        unit_context("step by step, allocation %u", (unsigned) i);

        is_int(ngx_http_tgbot_state_write(&one.state, &test_log), NGX_OK);
        test_world(&two, TEST_ROOM, TEST_BOTS);

        unit_fail_at = i;

        do {
            rc = ngx_http_tgbot_state_load(&two.state, 4, &test_log);
        } while (rc == NGX_AGAIN);

        done = (unit_fail_at != 0);
        unit_fail_at = 0;

        if (rc == NGX_OK) {
            test_dump(&one, &before);
            test_dump(&two, &after);
            is_same(&after, &before);

        } else {
            ok(i <= 2);
            ok(test_empty(&two));
        }

        ngx_http_tgbot_state_close(&two.state);
        test_world_end(&two);
        test_clean();
    }

    unit_context("%s", "");

    test_world_end(&one);
}


static unit_case_t  test_cases[] = {
    { "written and loaded", test_round_trip },
    { "a letter whose update is in the queue", test_moved },
    { "lanes in their order", test_order },
    { "the newest ids", test_ids },
    { "time that passes", test_time },
    { "each length and each bit", test_broken },
    { "files of others", test_foreign },
    { "a full disk", test_full_disk },
    { "what is in the way", test_names },
    { "one at a time", test_locked },
    { "in steps, by several", test_steps },
    { "in steps, as there is room", test_no_room },
    { "a zone that became smaller", test_small },
    { "bots that are gone", test_orphans },
    { "owners", test_owner },
    { "no memory", test_no_memory },
};


int
main(void)
{
    int  rc;

    test_crc_init();

    test_log.log_level = NGX_LOG_NOTICE;
    test_now.tv_sec = 1700000000;

    if (mkdtemp((char *) test_dir) == NULL) {
        return 1;
    }

    rc = unit_main(test_cases, unit_n(test_cases));

    test_clean();
    (void) rmdir((char *) test_dir);

    return rc;
}
