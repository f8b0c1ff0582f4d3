/* Many threads change a few names at random while requests are slow, fail and lose their answers. Whatever
 * happened: at the end the bucket is what the tree says, and no key ever had two requests at a time. Then the same with
 * power cuts and kills in between, each recovered from a copy made at that moment, and brought to the same end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "tests/support/send_rig.h"
#include "tests/support/send_rig_disk.h"

enum { THREADS = 4, PART = 4096 };

static struct send_rig rig;
static uint64_t seed = 1;
static int rounds_scale = 1; /* TOOTFS_STORM=N: so many times as long */

static int setup(void **state)
{
	(void)state;
	const struct log_config quiet = {.level = LOG_LEVEL_WARN};
	log_setup(&quiet);
	send_rig_init(&rig);
	rig.config.part_size_bytes = PART;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	send_rig_destroy(&rig);
	return 0;
}

/* -- one thread's random calls -- */

struct actor {
	pthread_t thread;
	struct send_rig *rig;
	uint64_t random;
	unsigned steps;
	unsigned done; /* calls that succeeded */
	unsigned pause_us;
};

static unsigned pick(struct actor *a, unsigned below)
{
	a->random = a->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(a->random >> 33) % below;
}

static const char *const names[] = {"a", "b", "c", "d/a", "d/b", ".h", "e/x", "e/y"};

static const char *name(struct actor *a)
{
	return names[pick(a, sizeof(names) / sizeof(*names))];
}

/* Every content is another one, so that none can stand for another. */
static size_t content(struct actor *a, uint8_t out[12 * PART])
{
	uint64_t mark = a->random;
	size_t length = pick(a, 4) ? pick(a, 200) : pick(a, 12 * PART);
	for (size_t i = 0; i < length; i++)
		out[i] = (uint8_t)((mark + i * 2654435761u) >> (i % 8 * 8));
	return length;
}

static int write_slowly(struct actor *a, const char *path, const uint8_t *bytes, size_t length)
{
	struct file *file;
	int r = send_rig_open_new(a->rig, path, &file);
	if (r)
		return r;
	for (size_t at = 0; !r && at < length;) {
		size_t piece = length - at < 1500 ? length - at : 1500;
		r = send_rig_write_at(file, at, bytes + at, piece);
		at += piece;
		if (!r && !pick(a, 8))
			r = file_flush(file);
		if (!r && !pick(a, 40))
			r = send_rig_write_at(file, pick(a, (unsigned)at), "!", 1);
	}
	if (!r && pick(a, 4))
		r = file_flush(file);
	file_close(&file);
	return r;
}

static int append(struct actor *a, const char *path, const uint8_t *bytes, size_t length)
{
	struct file *file;
	struct stat st;
	int r = send_rig_look(a->rig, path, &st);
	if (!r)
		r = S_ISREG(st.st_mode) ? file_open(&a->rig->cache, st.st_ino, O_RDWR, &file) : -EINVAL;
	if (r)
		return r;
	r = send_rig_write_at(file, (uint64_t)st.st_size, bytes, length);
	if (!r)
		r = file_flush(file);
	file_close(&file);
	return r;
}

static int act(struct actor *a)
{
	uint8_t bytes[12 * PART];
	struct attr_change change = {.fields = ATTR_MODE, .mode = 0600 + pick(a, 64)};
	struct stat st;
	size_t length = content(a, bytes);
	const char *path = name(a);

	switch (pick(a, 16)) {
	case 0: case 1: case 2: case 3:
		return send_rig_write(a->rig, path, bytes, length);
	case 4:
		return write_slowly(a, path, bytes, length);
	case 5: case 6: case 7:
		return send_rig_unlink(a->rig, path);
	case 8: case 9: case 10:
		return send_rig_rename(a->rig, path, name(a), pick(a, 3) ? 0 : RENAME_EXCHANGE);
	case 11:
		return send_rig_link(a->rig, path, name(a));
	case 12:
		return append(a, path, bytes, length % 700 + 1);
	case 13:
		return send_rig_rename(a->rig, "d", "e", RENAME_EXCHANGE);
	case 14:
		if (send_rig_look(a->rig, path, &st))
			return -ENOENT;
		return tree_setattr(&a->rig->cache, st.st_ino, &change, &st);
	default:
		if (!pick(a, 3))
			return send_rig_symlink(a->rig, path, pick(a, 2) ? "x" : "elsewhere");
		return send_rig_evict(a->rig, path) ? 0 : -EBUSY;
	}
}

static bool is_expected(int r)
{
	static const int all[] = {0, -ENOENT, -EEXIST, -EINVAL, -EBUSY, -EIO, -ENOTDIR, -ESTALE, -EMLINK};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (r == all[i])
			return true;
	return false;
}

static void *run(void *arg)
{
	struct actor *a = arg;
	for (unsigned i = 0; i < a->steps; i++) {
		int r = act(a);
		if (!is_expected(r)) {
			fprintf(stderr, "unexpected: %s\n", strerror(-r));
			abort();
		}
		a->done += r == 0;
		struct timespec t = {0, (long)pick(a, a->pause_us + 1) * 1000};
		if (a->pause_us && !pick(a, 4))
			nanosleep(&t, NULL);
	}
	return NULL;
}

static void storm_begin(struct actor actors[THREADS], unsigned steps, unsigned pause_us)
{
	for (unsigned i = 0; i < THREADS; i++) {
		actors[i] = (struct actor){.rig = &rig, .random = seed++, .steps = steps, .pause_us = pause_us};
		assert_int_equal(pthread_create(&actors[i].thread, NULL, run, &actors[i]), 0);
	}
}

static unsigned storm_end(struct actor actors[THREADS])
{
	unsigned done = 0;
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(actors[i].thread, NULL);
		done += actors[i].done;
	}
	return done;
}

/* -- the ends -- */

static void dump(struct send_rig *r)
{
	struct txn *txn;
	struct pending_record p = {.key = ""};
	struct node_record n;
	if (txn_begin_read(r->cache.flow.index, &txn))
		return;
	while (pending_next(txn, p.key, &p) == 0) {
		fprintf(stderr, "pending %s want=%d ino=%llu v=%llu txn=%llu holds=%llu attempts=%u fresh=%d attrs=%d\n",
			p.key, p.want, (unsigned long long)p.ino, (unsigned long long)p.version,
			(unsigned long long)p.txn, (unsigned long long)p.holds, p.attempts, p.fresh, p.attrs_only);
		for (int i = 0; i < 2; i++)
			if (nodes_get(txn, i ? p.holds : p.ino, &n) == 0)
				fprintf(stderr, "  ino=%llu content=%d v=%llu blob=%llu size=%llu home=%s etag=%s name=%s\n",
					(unsigned long long)n.ino, n.content, (unsigned long long)n.version,
					(unsigned long long)n.blob, (unsigned long long)n.size, n.home, n.etag, n.name);
	}
	txn_abort(&txn);
	fprintf(stderr, "covered=%llu newest=%llu\n", (unsigned long long)index_covered(r->cache.flow.index),
		(unsigned long long)index_newest(r->cache.flow.index));
}

static void to_the_end(struct send_rig *r)
{
	store_set(r->store, &(struct store_knobs){.delay_us = 0});
	int64_t deadline_ms = clock_ms() + 30000;
	bool drained = false;
	while (!drained && clock_ms() < deadline_ms) {
		send_hurry(r->cache.flow.sends);
		drained = send_rig_drain(r, 200);
	}
	const char *what = drained ? send_rig_differs(r) : "it does not come to an end";
	if (!what)
		return;
	dump(r);
	fail_msg("seed %llu: %s", (unsigned long long)seed, what);
}

/* Reading what is only in the bucket must work too, and is the same for who reads by name. */
static void read_all(struct send_rig *r)
{
	struct buf found AUTO_BUF = BUF_EMPTY, object AUTO_BUF = BUF_EMPTY;
	struct stat st;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (send_rig_look(r, names[i], &st) || !S_ISREG(st.st_mode))
			continue;
		assert_int_equal(send_rig_read(r, st.st_ino, &found), 0);
		assert_true(store_get(r->store, names[i], &object, NULL));
		assert_int_equal(found.length, object.length);
		if (found.length)
			assert_memory_equal(found.data, object.data, found.length);
	}
}

/* -- storms -- */

struct weather {
	const char *name;
	struct store_knobs knobs;
	unsigned steps, pause_us, uploads;
	bool attrs;
};

static const struct weather weathers[] = {
	{"calm", {.delay_us = 0}, 2500, 500, 8, false},
	{"slow bucket", {.delay_us = 3000}, 2000, 200, 8, false},
	{"slow changes", {.delay_us = 300}, 1000, 4000, 8, true},
	{"no conditions", {.delay_us = 2000, .no_if_match = true}, 1500, 500, 16, false},
	{"one sender", {.delay_us = 200}, 800, 8000, 1, true},
	{"failures", {.delay_us = 500, .fail = 3, .lose = 3}, 1000, 4000, 8, false},
};

/* Checkpoints all the time, so that much is sent. */
static void *checkpoint_often(void *arg)
{
	struct timespec t = {0, 1500000};
	atomic_bool *stop = arg;
	while (!atomic_load(stop)) {
		checkpoint_hurry(rig.cache.flow.checkpoints);
		struct send_stats stats;
		send_stats_read(rig.cache.flow.sends, &stats);
		if (stats.stopped)
			send_hurry(rig.cache.flow.sends);
		nanosleep(&t, NULL);
	}
	return NULL;
}

static void make_folders(void)
{
	assert_int_equal(send_rig_mkdir(&rig, "d"), 0);
	assert_int_equal(send_rig_mkdir(&rig, "e"), 0);
}

static void run_storm(const struct weather *w)
{
	struct actor actors[THREADS];
	atomic_bool stop = false;
	pthread_t ticker;

	rig.config.uploads = w->uploads;
	rig.config.bucket.attrs_object = w->attrs;
	send_rig_start(&rig);
	make_folders();
	for (int round = 0; round < rounds_scale; round++) {
		store_set(rig.store, &w->knobs);
		atomic_store(&stop, false);
		assert_int_equal(pthread_create(&ticker, NULL, checkpoint_often, &stop), 0);
		storm_begin(actors, w->steps, w->pause_us);
		unsigned done = storm_end(actors);
		atomic_store(&stop, true);
		pthread_join(ticker, NULL);
		to_the_end(&rig);
		read_all(&rig);
		assert_true(done > w->steps / 2);
	}
	struct send_stats stats;
	send_stats_read(rig.cache.flow.sends, &stats);
	printf("             %s: puts=%llu copies=%llu removes=%llu parts=%u failures=%llu\n", w->name,
	       (unsigned long long)stats.puts, (unsigned long long)stats.copies,
	       (unsigned long long)stats.removes, store_calls(rig.store, BUCKET_UPLOAD_PART),
	       (unsigned long long)stats.failures);
	assert_true(stats.puts > 0 && stats.removes > 0); /* how many is the machine's business */
}

static void test_storms(void **state)
{
	for (size_t i = 0; i < sizeof(weathers) / sizeof(*weathers); i++) {
		run_storm(&weathers[i]);
		teardown(state);
		setup(state);
	}
	send_rig_start(&rig);
}

/* -- crashes -- */

static void run_crashes(bool power_cut, int crashes)
{
	struct actor actors[THREADS];
	atomic_bool stop = false;
	pthread_t ticker;
	struct send_rig after[8];

	rig.config.uploads = 8;
	send_rig_start(&rig);
	make_folders();
	store_set(rig.store, &(struct store_knobs){.delay_us = 1500});
	assert_int_equal(pthread_create(&ticker, NULL, checkpoint_often, &stop), 0);
	storm_begin(actors, 1200, 3000);
	for (int i = 0; i < crashes; i++) {
		struct timespec t = {0, 60000000 + (long)(seed++ * 7919 % 20) * 1000000};
		nanosleep(&t, NULL);
		send_rig_crash(&rig, &after[i], power_cut);
	}
	storm_end(actors);
	atomic_store(&stop, true);
	pthread_join(ticker, NULL);
	to_the_end(&rig);
	for (int i = 0; i < crashes; i++) {
		send_rig_start(&after[i]);
		assert_int_equal(after[i].found, power_cut ? INDEX_POWER_CUT : INDEX_KILLED);
		to_the_end(&after[i]);
		read_all(&after[i]);
		send_rig_destroy(&after[i]);
	}
}

static void test_power_cuts(void **state)
{
	for (int i = 0; i < 3 * rounds_scale; i++) {
		run_crashes(true, 8);
		teardown(state);
		setup(state);
	}
	send_rig_start(&rig);
}

static void test_kills(void **state)
{
	for (int i = 0; i < 2 * rounds_scale; i++) {
		run_crashes(false, 8);
		teardown(state);
		setup(state);
	}
	send_rig_start(&rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {TEST(storms), TEST(power_cuts), TEST(kills)};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	if (getenv("TOOTFS_STORM"))
		rounds_scale = atoi(getenv("TOOTFS_STORM"));
	if (getenv("TOOTFS_SEED"))
		seed = strtoull(getenv("TOOTFS_SEED"), NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
