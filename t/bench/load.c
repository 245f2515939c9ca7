
/*
 * Sends updates as Telegram does, each one once, over connections that are
 * kept open, and counts the answers.  After a warm-up it prints "ready" and
 * waits for a line; then it sends what is to be measured, and prints what
 * came of it as a line of JSON.  With -m it sends calls, as a program does.
 *
 * With a rate each update has a time at which it is due, and waits for its
 * answer from then on, even if no connection is free to send it.
 *
 * With -q further connections have a call of bulk each, and make the next one
 * when it is answered.
 */

#define _GNU_SOURCE

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <time.h>
#include <unistd.h>


#define CONNECTIONS_MAX  1024
#define DEPTH_MAX        64
#define HOLES_MAX        16
#define REQUEST_MAX      2048
#define ANSWER_MAX       65536

#define TIMEOUT          20000      /* ms without any answer */
#define ID_FIRST         100000000
#define USER_FIRST       5000000000
#define USER_DIGITS      10


typedef struct {
    size_t        offset;
    size_t        digits;
    int           user;
} hole_t;


typedef struct {
    char          data[REQUEST_MAX];
    size_t        len;
    hole_t        holes[HOLES_MAX];
    unsigned      nholes;
} request_t;


typedef struct {
    int           fd;
    unsigned      waiting;                /* answers to come */
    unsigned      first;                  /* of users */
    int           bulk;
    uint64_t      users[DEPTH_MAX];
    double        due;                    /* with a rate */
    size_t        len;
    char          buf[ANSWER_MAX + 1];
} connection_t;


static struct {
    int           port;
    const char   *path;
    const char   *secret;
    unsigned      connections;
    unsigned      depth;                  /* requests sent in one go */
    uint64_t      warm;
    uint64_t      requests;
    uint64_t      index;                  /* of the first update */
    uint64_t      block;                  /* ids out of order within it */
    uint64_t      users;
    int           random;                 /* users in no order */
    int           bare;                   /* updates with an id and no more */
    int           call;                   /* a call of a program's own */
    int           sleep;                  /* while there is nothing to do */
    double        rate;                   /* updates a second, 0: no pace */
    const char   *bulk_path;
    unsigned      bulk;                   /* connections */
    unsigned      chats;                  /* of bulk, the first of the users */
} conf = { 0, "/", "", 40, 1, 0, 1, 0, 1, 1000, 0, 0, 0, 0, 0, "/", 0, 300 };


static struct {
    uint64_t      sent;
    uint64_t      answers;
    uint64_t      ok;                     /* status 200 */
    uint64_t      replies;                /* a message to the right chat */
    uint64_t      bytes;
    int           status;                 /* the first that was not 200 */
    uint64_t      bulk;                   /* calls sent */
    uint64_t      bulk_ok;
} count;


static const char  *texts[] = {
    "\"text\":\"/start from_the_shop_window\",\"entities\":[{\"offset\":0,"
        "\"length\":6,\"type\":\"bot_command\"}]",
    "\"text\":\"/help\",\"entities\":[{\"offset\":0,"
        "\"length\":5,\"type\":\"bot_command\"}]",
    "\"text\":\"/hours on sunday, please\",\"entities\":[{\"offset\":0,"
        "\"length\":6,\"type\":\"bot_command\"}]",
    "\"text\":\"/order@bench_bot 1742\",\"entities\":[{\"offset\":0,"
        "\"length\":16,\"type\":\"bot_command\"}]"
};

#define NTEXTS  (sizeof(texts) / sizeof(texts[0]))

/* '@' are digits of the update's number, '#' of the user's */

static const char  update[] =
    "{\"update_id\":@@@@@@@@@,\n"
    "\"message\":{\"message_id\":1@@@@@@,\"from\":{\"id\":##########,"
    "\"is_bot\":false,\"first_name\":\"Anneliese\","
    "\"last_name\":\"M\\u00fcller-L\\u00fcdenscheidt\","
    "\"username\":\"anneliese_ml\",\"language_code\":\"de\"},"
    "\"chat\":{\"id\":##########,\"first_name\":\"Anneliese\","
    "\"last_name\":\"M\\u00fcller-L\\u00fcdenscheidt\","
    "\"username\":\"anneliese_ml\",\"type\":\"private\"},\"date\":%ld,"
    "\"reply_to_message\":{\"message_id\":1@@@@@@,\"from\":{"
    "\"id\":7000000001,\"is_bot\":true,\"first_name\":\"Bench\","
    "\"username\":\"bench_bot\"},\"chat\":{\"id\":##########,"
    "\"first_name\":\"Anneliese\",\"username\":\"anneliese_ml\","
    "\"type\":\"private\"},\"date\":%ld,\"text\":\"Good morning!\"},%s}}";

/* a call that a program makes by itself */

static const char  call[] =
    "{\"chat_id\":##########,\"text\":\"Good morning, Anneliese! Your order "
    "1@@@@@@ is ready, and we are open till six.\",\"parse_mode\":\"HTML\","
    "\"reply_markup\":{\"inline_keyboard\":[[{\"text\":\"On my way\","
    "\"callback_data\":\"yes:1@@@@@@\"},{\"text\":\"Tomorrow\","
    "\"callback_data\":\"no:1@@@@@@\"}]]}}";

static request_t       requests[NTEXTS], bulk;
static connection_t   *connections;
static double         *waits;             /* with a rate: seconds, by answer */


static void
die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}


static void
make_request(request_t *r, const char *path, int is_call, const char *text)
{
    int      n;
    long     now;
    char    *p, body[REQUEST_MAX];
    size_t   len;

    now = time(NULL);

    n = is_call ? snprintf(body, sizeof(body), "%s", call)
        : conf.bare ? snprintf(body, sizeof(body), "{\"update_id\":@@@@@@@@@}")
                  : snprintf(body, sizeof(body), update, now, now - 60, text);

    r->len = snprintf(r->data, sizeof(r->data),
                      "POST %s HTTP/1.1\r\n"
                      "Host: 127.0.0.1:%d\r\n"
                      "Content-Type: application/json\r\n"
                      "Content-Length: %d\r\n"
                      "Connection: keep-alive\r\n"
                      "Accept-Encoding: gzip, deflate\r\n"
                      "X-Telegram-Bot-Api-Secret-Token: %s\r\n\r\n%s",
                      path, conf.port, n, conf.secret, body);

    if (n >= (int) sizeof(body) || r->len >= sizeof(r->data)) {
        errno = EMSGSIZE;
        die("request");
    }

    for (p = strstr(r->data, "\r\n\r\n"); *p; p += len ? len : 1) {
        len = strspn(p, *p == '#' ? "#" : "@");

        /* "@" of a command is none of them */

        if (len < 6) {
            continue;
        }

        r->holes[r->nholes].offset = p - r->data;
        r->holes[r->nholes].digits = len;
        r->holes[r->nholes].user = (*p == '#');
        r->nholes++;
    }
}


static void
write_number(char *p, size_t digits, uint64_t n)
{
    while (digits) {
        p[--digits] = '0' + n % 10;
        n /= 10;
    }
}


/* a multiplication by an odd number goes through all of 2^n in no order */

static uint64_t
id_of(uint64_t i)
{
    uint64_t  mask;

    mask = conf.block - 1;

    return ID_FIRST + (i & ~mask) + ((i * 2654435761) & mask);
}


static uint64_t
user_of(uint64_t i)
{
    if (conf.random) {
        i *= 0x9e3779b97f4a7c15;
        i ^= i >> 32;
        i *= 0xd6e8feb86659fd93;
        i ^= i >> 32;
    }

    return USER_FIRST + i % conf.users;
}


static void
fill_holes(request_t *r, uint64_t id, uint64_t user)
{
    unsigned  i;

    for (i = 0; i < r->nholes; i++) {
        write_number(r->data + r->holes[i].offset, r->holes[i].digits,
                     r->holes[i].user ? user : id);
    }
}


static void
send_all(connection_t *c, const char *p, size_t len)
{
    ssize_t  n;

    for ( /* void */ ; len; p += n, len -= n) {
        n = send(c->fd, p, len, MSG_NOSIGNAL);

        if (n == -1) {
            die("send");
        }
    }
}


static void
send_bulk(connection_t *c)
{
    fill_holes(&bulk, ID_FIRST + count.bulk,
               USER_FIRST + count.bulk % conf.chats);
    send_all(c, bulk.data, bulk.len);

    c->waiting = 1;
    count.bulk++;
}


static void
send_some(connection_t *c, uint64_t until)
{
    char         buf[DEPTH_MAX * REQUEST_MAX], *p;
    uint64_t     index, user;
    request_t   *r;

    p = buf;
    c->first = 0;

    while (c->waiting < conf.depth && count.sent < until) {
        index = conf.index + count.sent;
        user = user_of(index);

        r = &requests[index % NTEXTS];

        fill_holes(r, id_of(index), user);

        memcpy(p, r->data, r->len);
        p += r->len;

        c->users[c->waiting++] = user;
        count.sent++;
    }

    send_all(c, buf, p - buf);
}


/* the length of the answer that p begins with, 0 if it is not complete */

static size_t
answer_length(const char *p, const char **body)
{
    char        *end;
    const char  *field;

    *body = strstr(p, "\r\n\r\n");

    if (*body == NULL) {
        return 0;
    }

    *body += 4;

    field = strcasestr(p, "\r\nContent-Length:");

    if (field && field < *body) {
        return *body + strtoul(field + 17, NULL, 10) - p;
    }

    field = strcasestr(p, "\r\nTransfer-Encoding: chunked");

    if (field && field < *body) {
        end = strstr(*body - 2, "\r\n0\r\n\r\n");
        return end ? end + 7 - p : 0;
    }

    return *body - p;
}


static void
count_answer(const char *p, size_t len, const char *body, uint64_t user)
{
    int   status;
    char  digits[USER_DIGITS];

    status = atoi(p + 9);

    count.answers++;
    count.bytes += len;

    if (status != 200) {
        if (count.status == 0) {
            count.status = status;
        }

        return;
    }

    count.ok++;
    len -= body - p;

    write_number(digits, USER_DIGITS, user);

    if (memmem(body, len, "sendMessage", 11)
        && memmem(body, len, digits, USER_DIGITS))
    {
        count.replies++;
    }
}


/* whether it is a connection that is free for the next update */

static int
receive(connection_t *c)
{
    char        *p;
    size_t       len;
    ssize_t      n;
    const char  *body;

    n = recv(c->fd, c->buf + c->len, ANSWER_MAX - c->len, 0);

    if (n <= 0) {
        if (n == 0) {
            errno = ECONNRESET;
        }

        die("recv");
    }

    c->len += n;
    c->buf[c->len] = '\0';

    for (p = c->buf; c->len; p += len) {
        len = answer_length(p, &body);

        if (len == 0 || len > c->len) {
            break;
        }

        if (c->waiting == 0) {
            errno = EPROTO;
            die("answer to nothing");
        }

        if (c->bulk) {
            count.bulk_ok += (atoi(p + 9) == 200);

        } else {
            count_answer(p, len, body, c->users[c->first++]);
        }

        c->waiting--;
        c->len -= len;
    }

    memmove(c->buf, p, c->len);

    if (c->waiting) {
        return 0;
    }

    if (c->bulk) {
        send_bulk(c);
        return 0;
    }

    return 1;
}


static double
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec + ts.tv_nsec / 1e9;
}


/*
 * Does not sleep by default: a server that has to wake up the load pays for
 * it, the more the slower it is itself, and that would be measured.  Where
 * servers use the load's core as well, it sleeps, for it would take from them
 * what it does not need.
 */

static int
wait_some(int ep, struct epoll_event *events, double seconds)
{
    struct timespec  ts;

    if (!conf.sleep || seconds < 0) {
        seconds = 0;
    }

    ts.tv_sec = seconds;
    ts.tv_nsec = (seconds - ts.tv_sec) * 1e9;

    return epoll_pwait2(ep, events, CONNECTIONS_MAX, &ts, NULL);
}


static int
wait_for_events(int ep, struct epoll_event *events)
{
    int     n;
    time_t  until;

    until = time(NULL) + TIMEOUT / 1000 + 1;

    do {
        n = wait_some(ep, events, 1);

        if (n > 0) {
            return n;
        }

    } while (n == 0 && time(NULL) < until);

    if (n == 0) {
        errno = ETIMEDOUT;
    }

    die("no answer");
    return 0;
}


static void
run(int ep, uint64_t requests_to_send)
{
    int                  i, n;
    uint64_t             until;
    connection_t        *c;
    struct epoll_event   events[CONNECTIONS_MAX];

    until = count.sent + requests_to_send;

    for (i = 0; i < (int) conf.connections; i++) {
        send_some(&connections[i], until);
    }

    while (count.answers < until) {
        n = wait_for_events(ep, events);

        for (i = 0; i < n; i++) {
            c = events[i].data.ptr;

            if (receive(c)) {
                send_some(c, until);
            }
        }
    }
}


static void
run_paced(int ep, uint64_t requests_to_send)
{
    int                  i, n;
    double               start, due, last;
    unsigned             nidle;
    uint64_t             from, until;
    connection_t        *c, *idle[CONNECTIONS_MAX];
    struct epoll_event   events[CONNECTIONS_MAX];

    from = count.sent;
    until = from + requests_to_send;
    waits = calloc(requests_to_send, sizeof(double));

    if (waits == NULL) {
        die("calloc");
    }

    for (nidle = 0; nidle < conf.connections; nidle++) {
        idle[nidle] = &connections[nidle];
    }

    start = last = now();

    while (count.answers < until) {
        due = start + (count.sent - from) / conf.rate;

        if (nidle && count.sent < until && now() >= due) {
            c = idle[--nidle];
            c->due = due;
            send_some(c, until);
            continue;
        }

        n = wait_some(ep, events,
                      nidle && count.sent < until ? due - now() : 1);

        for (i = 0; i < n; i++) {
            c = events[i].data.ptr;

            if (receive(c)) {
                last = now();
                waits[count.answers - 1 - from] = last - c->due;
                idle[nidle++] = c;
            }
        }

        if (n == -1 || now() - last > TIMEOUT / 1000) {
            die("no answer");
        }
    }
}


static int
compare(const void *one, const void *two)
{
    double  a = *(const double *) one, b = *(const double *) two;

    return (a > b) - (a < b);
}


/* microseconds within which this part of the answers came */

static double
percentile(double part)
{
    return waits ? waits[(uint64_t) (part * (conf.requests - 1))] * 1e6 : 0;
}


static void
open_connections(int ep)
{
    int                  on;
    unsigned             i;
    connection_t        *c;
    struct epoll_event   event;
    struct sockaddr_in   sin;

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons(conf.port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    connections = calloc(conf.connections + conf.bulk, sizeof(connection_t));

    if (connections == NULL) {
        die("calloc");
    }

    for (i = 0; i < conf.connections + conf.bulk; i++) {
        c = &connections[i];
        c->bulk = (i >= conf.connections);
        on = 1;

        c->fd = socket(AF_INET, SOCK_STREAM, 0);

        if (c->fd == -1
            || connect(c->fd, (struct sockaddr *) &sin, sizeof(sin)) == -1
            || setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on))
               == -1)
        {
            die("connect");
        }

        event.events = EPOLLIN;
        event.data.ptr = c;

        if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &event) == -1) {
            die("epoll_ctl");
        }
    }
}


static void
parse_options(int argc, char **argv)
{
    int  c;

    while ((c = getopt(argc, argv, "p:u:s:c:d:w:n:i:b:k:R:B:q:remz")) != -1) {
        switch (c) {
        case 'p': conf.port = atoi(optarg); break;
        case 'u': conf.path = optarg; break;
        case 's': conf.secret = optarg; break;
        case 'c': conf.connections = atoi(optarg); break;
        case 'd': conf.depth = atoi(optarg); break;
        case 'w': conf.warm = strtoull(optarg, NULL, 10); break;
        case 'n': conf.requests = strtoull(optarg, NULL, 10); break;
        case 'i': conf.index = strtoull(optarg, NULL, 10); break;
        case 'b': conf.block = strtoull(optarg, NULL, 10); break;
        case 'k': conf.users = strtoull(optarg, NULL, 10); break;
        case 'R': conf.rate = atof(optarg); break;
        case 'B': conf.bulk_path = optarg; break;
        case 'q': conf.bulk = atoi(optarg); break;
        case 'r': conf.random = 1; break;
        case 'e': conf.bare = 1; break;
        case 'm': conf.call = 1; break;
        case 'z': conf.sleep = 1; break;
        default: exit(2);
        }
    }

    if (conf.port == 0 || conf.requests == 0 || conf.users == 0
        || conf.connections == 0
        || conf.connections + conf.bulk > CONNECTIONS_MAX
        || conf.depth == 0 || conf.depth > DEPTH_MAX
        || (conf.rate > 0 && conf.depth > 1)
        || conf.block == 0 || (conf.block & (conf.block - 1)))
    {
        fprintf(stderr, "usage: load -p port [-u path] [-s secret]"
                " [-c connections] [-d depth] [-w warm-up] [-n requests]"
                " [-i first index] [-b block of ids] [-k users] [-R rate] [-r]"
                " [-e] [-m] [-z] [-B path of bulk] [-q calls of bulk]\n");
        exit(2);
    }
}


int
main(int argc, char **argv)
{
    int       ep;
    double    start, seconds;
    unsigned  i;

    parse_options(argc, argv);

    for (i = 0; i < NTEXTS; i++) {
        make_request(&requests[i], conf.path, conf.call, texts[i]);
    }

    make_request(&bulk, conf.bulk_path, 1, "");

    ep = epoll_create1(0);

    if (ep == -1) {
        die("epoll_create1");
    }

    open_connections(ep);

    for (i = 0; i < conf.bulk; i++) {
        send_bulk(&connections[conf.connections + i]);
    }

    if (conf.warm) {
        run(ep, conf.warm);
    }

    printf("ready\n");
    fflush(stdout);

    if (getchar() == EOF) {
        return 1;
    }

    start = now();

    if (conf.rate > 0) {
        run_paced(ep, conf.requests);
        qsort(waits, conf.requests, sizeof(double), compare);

    } else {
        run(ep, conf.requests);
    }

    seconds = now() - start;

    /* of the warm-up as well, but for the time */

    printf("{\"sent\": %" PRIu64 ", \"ok\": %" PRIu64 ", \"replies\": %" PRIu64
           ", \"bytes\": %" PRIu64 ", \"status\": %d, \"seconds\": %.6f,"
           " \"p50\": %.0f, \"p99\": %.0f, \"bulk\": %" PRIu64
           ", \"bulk_ok\": %" PRIu64 ", \"body\": %zu}\n",
           count.sent, count.ok, count.replies, count.bytes, count.status,
           seconds, percentile(0.5), percentile(0.99), count.bulk, count.bulk_ok,
           requests[0].len
           - (strstr(requests[0].data, "\r\n\r\n") + 4 - requests[0].data));

    return 0;
}
