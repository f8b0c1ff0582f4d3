/* Many readers, objects that are replaced and requests that fail, in a cache that is too small: every byte that is
 * there must be of the content that the node's etag names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include "tests/support/rig.h"

enum { MIB = 1 << 20 };

enum { STRESS_NODES = 6, STRESS_THREADS = 6, STRESS_READS = 150 };

struct stress {
	struct rig *r;
	uint64_t inos[STRESS_NODES];
	atomic_uint seeds, good, bad;
};

/* The etag says which content it is: all bytes that are there must be of that one. */
static void check_range(struct node *node, uint64_t start, uint64_t end)
{
	uint8_t bytes[8192];
	unsigned seed = 0;
	struct open_blob *open = NULL;

	lock_take(&node->lock);
	if (end <= node->locked.size && node->locked.blob && node_covers_locked(node, start, end) &&
	    node_open_blob_locked(node) == 0) {
		open = open_blob_get(node->locked.open);
		sscanf(node->locked.etag, "e%u-", &seed);
	}
	lock_drop(&node->lock);
	if (!open)
		return;
	if (blob_read(open->fd, start, bytes, end - start))
		abort();
	for (uint64_t i = 0; i < end - start; i++)
		if (bytes[i] != faulty_byte(seed, start + i))
			abort();
	open_blob_put(&open);
}

static void stress_once(struct stress *s, unsigned *random)
{
	struct rig *r = s->r;
	uint64_t ino = s->inos[rand_r(random) % STRESS_NODES];
	struct node *node = rig_node(r, ino);

	lock_take(&node->lock);
	uint64_t size = node->locked.size;
	lock_drop(&node->lock);
	uint64_t start = (uint64_t)rand_r(random) % (size - 8192), end = start + 1 + (uint64_t)rand_r(random) % 8191;
	int error = fill_wait_for(r->cache.flow.fills, node, start, end);
	atomic_fetch_add(error ? &s->bad : &s->good, 1);
	if (error != 0 && error != -EIO && error != -ESTALE)
		abort();
	check_range(node, start, end);
	lock_take(&node->lock);
	if (node_covers_locked(node, start, end))
		fill_ahead_locked(r->cache.flow.fills, node, start, end);
	lock_drop(&node->lock);
	node_put(&node);
}

static void *stress_run(void *arg)
{
	struct stress *s = arg;
	unsigned random = (unsigned)(uintptr_t)&random, mine;
	char name[16];

	for (unsigned i = 0; i < STRESS_READS; i++) {
		stress_once(s, &random);
		if (rand_r(&random) % 40 == 0) {
			unsigned n = (unsigned)rand_r(&random) % STRESS_NODES;
			mine = atomic_fetch_add(&s->seeds, 1);
			snprintf(name, sizeof(name), "n%u", n);
			faulty_put(s->r->faulty, name, (n % 2 ? 1 : 12) * MIB + mine, mine, NULL);
		}
		if (rand_r(&random) % 20 == 0)
			faulty_set(s->r->faulty,
				   &(struct faulty_knobs){ .fail_gets = rand_r(&random) % 3,
							   .fail_error = -EHOSTDOWN,
							   .fail_after = rand_r(&random) % 200000,
							   .no_if_match = rand_r(&random) % 2 });
	}
	return NULL;
}

static void many_readers_many_faults(void **state)
{
	struct rig *r = malloc(sizeof(*r));
	struct stress s = { .r = r, .seeds = 100 };
	pthread_t threads[STRESS_THREADS];
	char name[16];
	(void)state;
	rig_init(r);
	r->config.cache_size_bytes = 24 * MIB;
	r->config.full_timeout_ms = 5000;
	rig_start(r);
	for (unsigned n = 0; n < STRESS_NODES; n++) {
		snprintf(name, sizeof(name), "n%u", n);
		s.inos[n] = rig_file(r, name, (n % 2 ? 1 : 12) * MIB + n, 50 + n, 0);
	}
	for (unsigned i = 0; i < STRESS_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, stress_run, &s), 0);
	for (unsigned i = 0; i < STRESS_THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (unsigned n = 0; n < STRESS_NODES; n++) {
		struct node *node = rig_node(r, s.inos[n]);
		rig_rest(node);
		lock_take(&node->lock);
		node_check_locked(node);
		lock_drop(&node->lock);
		node_put(&node);
	}
	assert_true(s.good > s.bad);
	rig_check_space(r);
	rig_destroy(r);
	free(r);
}

int main(void)
{
	const struct log_config quiet = { .level = LOG_LEVEL_ERROR };
	const struct CMUnitTest tests[] = { cmocka_unit_test(many_readers_many_faults) };

	log_setup(&quiet);
	return cmocka_run_group_tests_name("fill_task", tests, NULL, NULL);
}
