/* Every request of the S3 client against a real server: the gateway whose env file TOOTFS_TEST_S3 names (tests/support/rgw);
 * skipped where there is none. What mount tests cannot reach is here: odd keys, copies in parts, lists in small pages. */
#include <fcntl.h>
#include <sys/stat.h>
#include "s3_fixture.h"

enum { SKIPPED = 77, MIB = 1 << 20 };

static struct fixture fixture;
static char endpoint[256];

static bool read_environment(void)
{
	const char *path = getenv("TOOTFS_TEST_S3");
	FILE *file = path ? fopen(path, "r") : NULL;
	char line[512], name[64], value[256];

	fixture_environment();
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%63[A-Z0-9_]=%255s", name, value) != 2)
			continue;
		if (strcmp(name, "S3_ENDPOINT") == 0)
			strcpy(endpoint, value);
		else if (strcmp(name, "S3_ACCESS_KEY") == 0)
			setenv("AWS_ACCESS_KEY_ID", value, 1);
		else if (strcmp(name, "S3_SECRET_KEY") == 0)
			setenv("AWS_SECRET_ACCESS_KEY", value, 1);
	}
	if (file)
		fclose(file);
	return endpoint[0];
}

static int setup(void **state)
{
	struct fixture *f = *state = &fixture;
	char spec[128];
	const struct bucket_config config = {.spec = spec, .endpoint = endpoint, .path_style = -1, .acl = "private",
					     .attrs_object = true, .checksum_sha256 = true, .io_timeout_ms = 30000,
					     .connections_max = 16};
	struct s3_request q;

	snprintf(spec, sizeof(spec), "s3://tootfs-live-%d/pre fix/\xc3\xbc", (int)getpid());
	if (s3_bucket_open(&config, &f->bucket))
		return -1;
	f->s3 = f->bucket.self;
	if (f->bucket.ops->start(f->s3))
		return -1;
	s3_request_init(&q, f->s3, "PUT", NULL);
	int r = s3_request_run(&q);
	if (r)
		print_message("%s\n", bucket_why());
	s3_request_destroy(&q);
	return r;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct s3_request q;

	s3_request_init(&q, f->s3, "DELETE", NULL);
	int r = s3_request_run(&q); /* fails unless the tests left it empty */
	if (r)
		print_message("%s\n", bucket_why());
	s3_request_destroy(&q);
	f->bucket.ops->stop(f->s3);
	f->bucket.ops->close(f->s3);
	free(f->bucket.identity);
	return r;
}

#define assert_ok(call)                                                                            \
	do {                                                                                       \
		int r_ = (call);                                                                   \
		if (r_)                                                                            \
			print_message("%s: %s\n", #call, bucket_why());                            \
		assert_int_equal(r_, 0);                                                           \
	} while (0)

/* A file of bytes that differ everywhere. */
static int big_file(size_t length)
{
	int fd = memfd_create("big", 0);
	uint64_t *words = malloc(length);

	assert(fd >= 0 && words);
	for (size_t i = 0; i < length / 8; i++)
		words[i] = i * 0x9e3779b97f4a7c15u;
	ssize_t n = write(fd, words, length);
	assert(n == (ssize_t)length);
	free(words);
	return fd;
}

static bool holds(const struct memory *m, int fd, uint64_t offset, size_t length)
{
	char *bytes = malloc(length + 1);

	assert(bytes);
	ssize_t n = pread(fd, bytes, length, (off_t)offset);
	assert(n == (ssize_t)length);
	bool same = m->bytes.length == length && (length == 0 || memcmp(m->bytes.data, bytes, length) == 0) && !m->gap;
	free(bytes);
	return same;
}

static int put(struct fixture *f, const char *key, int fd, uint64_t offset, uint64_t length, struct object *out)
{
	static const struct object_attrs attrs = {true, S_IFREG | 0640, 1000, 1001, INT64_C(1700000000123456789)};
	const struct put_request q = {.key = key, .fd = fd, .offset = offset, .length = length, .attrs = &attrs};

	return f->bucket.ops->put(f->s3, &q, out);
}

static void remove_all(struct fixture *f, const char *const *keys, size_t count)
{
	int results[REMOVE_MAX];

	assert_ok(f->bucket.ops->remove(f->s3, keys, count, results));
	for (size_t i = 0; i < count; i++)
		assert_int_equal(results[i], 0);
}

static const char *const odd[] = {
	"o/plain.png", "o/sp ace", "o/pl+us", "o/per%41cent%", "o/\xc3\xa9t\xc3\xa9", "o/x@1x.png", "o/q?a&b=c;d",
	"o/<&>\"'", "o/back\\slash", "o/t~!*()", "o/ctl\x01x", "o/nl\ny", "o/tab\tz", "o/[x]{y}|^`#", "o/trailing ",
	"o/\xf0\x9f\x98\x80", "o/=:,$", "o/.../..x",
};

static void test_keys(void **state)
{
	struct fixture *f = *state;
	struct memory m = {.begun = 0};
	struct object o, h;
	int fd = big_file(1024);

	for (size_t i = 0; i < COUNT(odd); i++) {
		assert_ok(put(f, odd[i], fd, i, 100 + i, &o));
		assert_ok(fetch(f, odd[i], 0, 0, o.etag, &m));
		assert_true(holds(&m, fd, i, 100 + i));
		assert_ok(f->bucket.ops->head(f->s3, odd[i], &h));
		assert_int_equal(h.size_bytes, 100 + i);
		assert_string_equal(h.etag, o.etag);
		assert_true(h.mtime_ns > 0);
		assert_true(h.attrs.valid && h.attrs.mode == (S_IFREG | 0640) && h.attrs.uid == 1000 &&
			    h.attrs.gid == 1001 && h.attrs.mtime_ns == INT64_C(1700000000123456789));
	}
	for (size_t i = 0; i < COUNT(odd); i++) { /* from one odd key to the next */
		const struct copy_request q = {.from = odd[i], .to = "o2/copy +%", .etag = "", .size_bytes = 100 + i};
		assert_ok(f->bucket.ops->copy(f->s3, &q, &o));
		assert_ok(fetch(f, "o2/copy +%", 0, 0, o.etag, &m));
		assert_true(holds(&m, fd, i, 100 + i));
	}
	remove_all(f, (const char *const[]){"o2/copy +%"}, 1);
	buf_destroy(&m.bytes);
	close(fd);
}

static bool is_odd(const struct list_entry *e)
{
	for (size_t i = 0; i < COUNT(odd); i++)
		if (strlen(odd[i]) == e->key_bytes && memcmp(odd[i], e->key, e->key_bytes) == 0)
			return true;
	return false;
}

/* The keys of the test before, three at a time; then they go. */
static void test_lists(void **state)
{
	struct fixture *f = *state;
	struct list_request q = {.prefix = "o/", .delimiter = true, .page_max = 3};
	struct list_page page;
	size_t count = 0;

	do {
		assert_ok(f->bucket.ops->list(f->s3, &q, &page));
		for (size_t i = 0; i < page.count; i++) {
			const struct list_entry *e = &page.entries[i];
			assert_true(e->folder ? strcmp(e->key, "o/.../") == 0 : is_odd(e));
			assert_true(e->folder || (e->object.etag[0] && e->object.mtime_ns > 0));
		}
		count += page.count;
		free((char *)q.token);
		q.token = page.token;
		page.token = NULL;
		list_page_destroy(&page);
	} while (q.token);
	assert_int_equal(count, COUNT(odd));
	q = (struct list_request){.prefix = "", .delimiter = true};
	assert_ok(f->bucket.ops->list(f->s3, &q, &page));
	assert_int_equal(page.count, 1);
	assert_true(page.entries[0].folder);
	assert_string_equal(page.entries[0].key, "o/");
	list_page_destroy(&page);
	/* The page ends at a key that the server names again in a way that XML does not know. */
	q = (struct list_request){.prefix = "o/", .after = "o/ctl", .page_max = 1};
	assert_ok(f->bucket.ops->list(f->s3, &q, &page));
	assert_int_equal(page.count, 1);
	assert_string_equal(page.entries[0].key, "o/ctl\x01x");
	assert_non_null(page.token);
	list_page_destroy(&page);
	remove_all(f, odd, COUNT(odd));
	q = (struct list_request){.prefix = ""};
	assert_ok(f->bucket.ops->list(f->s3, &q, &page));
	assert_int_equal(page.count, 0);
	list_page_destroy(&page);
}

static void test_ranges(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint64_t offset, length;
		size_t got;
		int result;
	} cases[] = {
		{0, 0, 1000, 0}, {10, 20, 20, 0}, {990, 0, 10, 0}, {990, 100, 10, 0}, {1000, 1, 0, -EPROTO},
	};
	struct memory m = {.begun = 0};
	struct object o;
	int fd = big_file(1024);

	assert_ok(put(f, "r", fd, 0, 1000, &o));
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(fetch(f, "r", cases[i].offset, cases[i].length, o.etag, &m), cases[i].result);
		assert_true(holds(&m, fd, cases[i].offset, cases[i].got));
		assert_int_equal(m.object.size_bytes, cases[i].result ? 0 : 1000);
	}
	assert_int_equal(fetch(f, "r", 0, 0, "another", &m), -ESTALE);
	assert_int_equal(m.begun, 0);
	assert_int_equal(fetch(f, "none", 0, 0, NULL, &m), -ENOENT);
	assert_int_equal(f->bucket.ops->head(f->s3, "none", &o), -ENOENT);
	assert_ok(put(f, "empty", fd, 0, 0, &o));
	assert_ok(fetch(f, "empty", 0, 0, o.etag, &m));
	assert_int_equal(m.begun, 1);
	assert_int_equal(m.bytes.length, 0);
	const struct copy_request missing = {.from = "none", .to = "x", .size_bytes = 1};
	assert_int_equal(f->bucket.ops->copy(f->s3, &missing, &o), -ENOENT);
	const struct copy_request itself = {.from = "r", .to = "r", .size_bytes = 1000};
	assert_ok(f->bucket.ops->copy(f->s3, &itself, &o));
	assert_ok(fetch(f, "r", 0, 0, o.etag, &m));
	assert_true(holds(&m, fd, 0, 1000));
	remove_all(f, (const char *const[]){"r", "empty", "never/was"}, 3);
	buf_destroy(&m.bytes);
	close(fd);
}

static int count_upload(void *arg, const char *id, int64_t initiated_ns)
{
	assert(id[0] && initiated_ns > 0);
	++*(int *)arg;
	return 0;
}

static void test_multipart(void **state)
{
	struct fixture *f = *state;
	const struct bucket_ops *ops = f->bucket.ops;
	const char *key = "m/b ig+@";
	struct memory m = {.begun = 0};
	char id[UPLOAD_ID_BYTES], other[UPLOAD_ID_BYTES];
	struct part parts[3];
	struct object o;
	int fd = big_file(12 * MIB), count = 0;

	assert_ok(ops->upload_create(f->s3, key, NULL, id));
	assert_ok(ops->upload_create(f->s3, "m/b ig+@2", NULL, other));
	assert_ok(ops->upload_list(f->s3, key, count_upload, &count));
	assert_int_equal(count, 1);
	for (unsigned i = 0; i < 3; i++) {
		const struct part_request q = {key, id, i + 1, fd, i * (5u * MIB), i < 2 ? 5 * MIB : 2 * MIB};
		assert_ok(ops->upload_part(f->s3, &q, &parts[i]));
	}
	assert_ok(ops->upload_complete(f->s3, key, id, parts, 3, &o));
	assert_string_equal(o.etag + strlen(o.etag) - 2, "-3");
	assert_ok(fetch(f, key, 0, 0, o.etag, &m));
	assert_true(holds(&m, fd, 0, 12 * MIB));
	assert_ok(fetch(f, key, 5 * MIB - 10, 20, o.etag, &m));
	assert_true(holds(&m, fd, 5 * MIB - 10, 20));
	assert_ok(ops->upload_abort(f->s3, "m/b ig+@2", other));
	assert_ok(ops->upload_abort(f->s3, "m/b ig+@2", other));
	const struct part_request late = {"m/b ig+@2", other, 1, fd, 0, 100};
	assert_int_equal(ops->upload_part(f->s3, &late, &parts[0]), -ENOMSG);

	const struct copy_request q = {.from = key, .to = "m/copy", .etag = o.etag, .size_bytes = 12 * MIB};
	f->s3->copy_bytes_max = 6 * MIB;
	f->s3->copy_part_bytes = 5 * MIB;
	assert_ok(ops->copy(f->s3, &q, &o));
	assert_ok(fetch(f, "m/copy", 0, 0, o.etag, &m));
	assert_true(holds(&m, fd, 0, 12 * MIB));
	remove_all(f, (const char *const[]){key, "m/copy"}, 2);
	buf_destroy(&m.bytes);
	close(fd);
}

struct worker {
	struct fixture *f;
	int number, fd, failed;
	pthread_t thread;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct memory m = {.begun = 0};
	struct object o;
	char key[64];

	for (int i = 0; i < 20; i++) {
		snprintf(key, sizeof(key), "p/%d", w->number);
		w->failed += put(w->f, key, w->fd, (uint64_t)i, 20000, &o) != 0;
		w->failed += fetch(w->f, key, 0, 0, o.etag, &m) != 0 || !holds(&m, w->fd, (uint64_t)i, 20000);
	}
	w->failed += w->f->bucket.ops->remove(w->f->s3, (const char *const[]){key}, 1, &(int){0}) != 0;
	buf_destroy(&m.bytes);
	return NULL;
}

/* Sixteen at once need sixteen connections, however many requests they make. */
static void test_parallel(void **state)
{
	struct fixture *f = *state;
	struct worker workers[16];
	int fd = big_file(32 << 10);

	for (int i = 0; i < 16; i++) {
		workers[i] = (struct worker){.f = f, .number = i, .fd = fd};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < 16; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].failed, 0);
	}
	assert_true(http_connections(f->s3->http) <= 32);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),	  cmocka_unit_test(test_lists),	   cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_multipart), cmocka_unit_test(test_parallel),
	};

	if (!read_environment()) {
		puts("skipped: TOOTFS_TEST_S3 names no gateway");
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
