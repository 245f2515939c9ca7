
/*
 * The cost of an update does not depend on the number of waiting updates, nor
 * on the number of former lanes.  The time is printed for "./dev bench", the
 * points that are passed are counted.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include <stdio.h>
#include <time.h>

#include "queue.h"


#define TEST_MANY    100000
#define TEST_FEW     100
#define TEST_CYCLES  50000
#define TEST_ROUNDS  10

/* blocks of an item, its share of tables, and the rest of the zone */
#define TEST_ROOM    ((size_t) (TEST_MANY + 1000) * 2 * 520 + 4 * 1024 * 1024)

/* the number of points passed is the same on every machine */
#define TEST_POINTS  1000000000


typedef struct {
    ngx_http_tgbot_queue_t   bot;
    ngx_http_tgbot_zone_t   *zone;
    uint64_t                 id;
    ngx_uint_t               n;          /* waiting */
    uint64_t                 best;       /* ns of a cycle */
    uint64_t                 points;     /* passed in a round */
} test_queue_t;


static void test_fill(test_queue_t *t, ngx_uint_t n);
static void test_put(test_queue_t *t);
static void test_cycle(test_queue_t *t);
static void test_cycle_delay(test_queue_t *t);
static void test_round(test_queue_t *t, void (*cycle)(test_queue_t *t));
static void test_ratio(const char *what, double most,
    void (*cycle)(test_queue_t *t));
static uint64_t test_now(void);


static test_queue_t  test_few, test_many;
static u_char        test_data[600];


static void
test_put(test_queue_t *t)
{
    ngx_msec_t             age;
    ngx_http_tgbot_item_t  item;

    t->id++;

    item = queue_item(t->id, (uint64_t) queue_random() << 32
                             | (queue_random() << 16) | (t->id & 0xffff), "");
    item.data.data = test_data;
    item.data.len = sizeof(test_data);

    if (ngx_http_tgbot_queue_put(&t->bot, &item,
                                 NGX_HTTP_TGBOT_QUEUE_ACCEPTED, &age)
        != NGX_OK)
    {
        ok(0);
    }
}


static void
test_fill(test_queue_t *t, ngx_uint_t n)
{
    t->bot = queue_bot("shop", 42, 4, 100);
    t->zone = queue_zone(&t->bot, 1, TEST_ROOM);
    t->id = 0;
    t->n = n;

    while (n--) {
        test_put(t);
    }
}


/* one item is settled, one of another lane is put */

static void
test_cycle(test_queue_t *t)
{
    ngx_msec_t                    wait;
    ngx_http_tgbot_queue_taken_t  taken;

    if (ngx_http_tgbot_queue_take(&t->bot, &taken, &wait) != NGX_OK
        || queue_done(&t->bot, &taken) != NGX_OK)
    {
        ok(0);
    }

    test_put(t);
}


/* a due item is given back with a delay as long as all others' */

static void
test_cycle_delay(test_queue_t *t)
{
    ngx_msec_t                    wait;
    ngx_http_tgbot_queue_taken_t  taken;

    while (ngx_http_tgbot_queue_take(&t->bot, &taken, &wait) != NGX_OK) {
        ngx_current_msec++;
    }

    if (queue_give(&t->bot, &taken, 1 + queue_random() % (2 * t->n),
                   NGX_HTTP_TGBOT_QUEUE_UNTRIED)
        != NGX_OK)
    {
        ok(0);
    }
}


static uint64_t
test_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


static void
test_round(test_queue_t *t, void (*cycle)(test_queue_t *t))
{
    uint64_t    time;
    ngx_uint_t  i;

    unit_zone_stop_at = TEST_POINTS;

    time = test_now();

    for (i = 0; i < TEST_CYCLES; i++) {
        cycle(t);
    }

    time = (test_now() - time) / TEST_CYCLES;

    t->points = TEST_POINTS - unit_zone_stop_at;
    unit_zone_stop_at = 0;

    if (t->best == 0 || time < t->best) {
        t->best = time;
    }
}


static void
test_ratio(const char *what, double most, void (*cycle)(test_queue_t *t))
{
    ngx_uint_t  i;

    test_few.best = 0;
    test_many.best = 0;

    for (i = 0; i < TEST_ROUNDS; i++) {
        test_round(&test_few, cycle);
        test_round(&test_many, cycle);
    }

    printf("# %s: %u ns with %u waiting, %u ns with %u: %.2f\n", what,
           (unsigned) test_few.best, TEST_FEW, (unsigned) test_many.best,
           TEST_MANY, (double) test_many.best / test_few.best);

    ok(test_few.points > TEST_CYCLES);

    printf("# points passed: %.2f times as many\n",
           (double) test_many.points / test_few.points);

    ok((double) test_many.points / test_few.points < most);
}


/* the number of steps to find a lane */

static double
test_chains(ngx_http_tgbot_zone_t *zone)
{
    uint32_t                     n;
    uint64_t                     sum, length, lanes;
    ngx_uint_t                   i;
    ngx_http_tgbot_queue_area_t  area;

    ngx_http_tgbot_queue_lane_open(&area, zone);

    sum = 0;
    lanes = 0;

    for (i = 0; i < area.sh->nheads; i++) {
        length = 0;

        for (n = area.heads[i]; n != NGX_HTTP_TGBOT_LIST_NIL;
             n = ngx_http_tgbot_queue_item(&area, n)->chain)
        {
            sum += ++length;
            lanes++;
        }
    }

    is_int(lanes, TEST_MANY);

    return (double) sum / lanes;
}


static void
test_cost(void)
{
    double      chains;
    uint64_t    time, lanes;
    ngx_uint_t  i;

    test_fill(&test_few, TEST_FEW);
    test_fill(&test_many, TEST_MANY);

    test_ratio("in and out", 1.01, test_cycle);

    /* former lanes leave nothing behind */

    lanes = test_many.id + test_few.id;

    is_int(ngx_http_tgbot_queue_items(test_many.zone), TEST_MANY);
    ok(lanes >= 1000000);

    chains = test_chains(test_many.zone);

    printf("# %.0f lanes were, a look for one of %u passes %.2f\n",
           (double) lanes, TEST_MANY, chains);

    ok(chains < 1.6);

    for (i = 0; i < TEST_MANY; i++) {
        test_cycle_delay(&test_many);
    }

    /* by the logarithm */

    test_ratio("given back", 2.5, test_cycle_delay);

    unit_zone_dirty(test_many.zone);

    time = test_now();

    is_int(ngx_http_tgbot_queue_items(test_many.zone), TEST_MANY);

    time = test_now() - time;

    printf("# repair of %u: %u ms\n", TEST_MANY, (unsigned) (time / 1000000));

    ok(queue_walk(test_many.zone));

    unit_zone_free(test_few.zone);
    unit_zone_free(test_many.zone);
}


static unit_case_t  test_cases[] = {
    { "cost of an update", test_cost },
};


int
main(void)
{
    return unit_main(test_cases, unit_n(test_cases));
}
