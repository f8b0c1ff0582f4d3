/* What the tests of dir buckets share: a fresh folder and bucket for each test, and short calls. */
#ifndef TOOTFS_TEST_DIR_FIXTURE_H
#define TOOTFS_TEST_DIR_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cmocka.h>
#include "cache/bucket/dir.h"

static char folder[64], outside[64];
static struct bucket *bucket;

/* -- a fresh bucket for each test -- */

static inline int forget(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st, (void)kind, (void)at;
	return remove(path);
}

static inline void open_bucket(bool attrs)
{
	char spec[96];
	struct bucket_config config = {.spec = spec, .attrs_object = attrs, .io_timeout_ms = 5000};

	snprintf(spec, sizeof(spec), "file://%s", folder);
	assert_int_equal(bucket_open(&config, &bucket), 0);
	assert_int_equal(bucket_start(bucket), 0);
}

/* With the path walk of kernels that have no openat2(2). */
static inline struct dir_bucket *reopen_by_steps(void)
{
	char spec[96];
	struct bucket_config config = {.spec = spec};
	struct bucket_impl impl;
	struct dir_bucket *d;

	snprintf(spec, sizeof(spec), "file://%s", folder);
	bucket_close(&bucket);
	assert_int_equal(dir_bucket_open(&config, &impl), 0);
	d = impl.self;
	atomic_store(&d->no_openat2, true);
	assert_int_equal(bucket_open_over(&config, &impl, &bucket), 0);
	assert_int_equal(bucket_start(bucket), 0);
	return d;
}

static inline int setup(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/tootfs-dir-XXXXXX");
	strcpy(outside, "/tmp/tootfs-out-XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_non_null(mkdtemp(outside));
	open_bucket(false);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	bucket_stop(bucket);
	bucket_close(&bucket);
	nftw(folder, forget, 16, FTW_DEPTH | FTW_PHYS);
	nftw(outside, forget, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static inline const char *path_of(const char *key)
{
	static char path[2048];

	snprintf(path, sizeof(path), "%s/%s", folder, key);
	return path;
}

static inline bool is_there(const char *key)
{
	struct stat st;

	return lstat(path_of(key), &st) == 0;
}

/* -- small callers -- */

static inline int source_of(const char *text)
{
	int fd = memfd_create("source", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	return fd;
}

static inline int put(const char *key, const char *text, struct object *out)
{
	int fd = source_of(text);
	struct put_request q = {.key = key, .fd = fd, .length = strlen(text)};
	struct object object;
	int r = bucket_put(bucket, &q, out ? out : &object);

	close(fd);
	return r;
}

struct taking {
	struct sink sink;
	struct object object;
	char bytes[1 << 16];
	uint64_t first;
	size_t length;
	int begun, answer;
};

static inline int taking_begin(struct sink *sink, const struct object *object)
{
	struct taking *t = (struct taking *)sink;

	t->begun++;
	t->object = *object;
	return 0;
}

static inline int taking_take(struct sink *sink, uint64_t offset, const void *bytes, size_t length)
{
	struct taking *t = (struct taking *)sink;

	if (t->length == 0)
		t->first = offset;
	assert_int_equal(offset, t->first + t->length);
	assert_true(t->length + length < sizeof(t->bytes));
	memcpy(t->bytes + t->length, bytes, length);
	t->length += length;
	t->bytes[t->length] = '\0';
	return t->answer;
}

static inline int get(struct taking *t, const char *key, uint64_t offset, uint64_t length,
		      const char *etag)
{
	int answer = t->answer;
	struct get_request q = {
	    .key = key, .offset = offset, .length = length, .etag = etag, .sink = &t->sink};

	memset(t, 0, sizeof(*t));
	t->answer = answer;
	t->sink = (struct sink){taking_begin, taking_take};
	return bucket_get(bucket, &q);
}

static inline int remove_one(const char *key)
{
	int result = -1, r = bucket_remove(bucket, &key, 1, &result);

	return r ? r : result;
}

/* All pages of a list, each key on a line. */
static inline char *list_all(const char *prefix, bool delimiter, const char *after,
			     unsigned page_max)
{
	struct list_request q = {prefix, delimiter, after, NULL, page_max};
	char *text = calloc(1, 1 << 20), *token = NULL;
	struct list_page page;

	do {
		q.token = token;
		assert_int_equal(bucket_list(bucket, &q, &page), 0);
		assert_true(page.count <= (page_max ? page_max : 1000));
		for (size_t i = 0; i < page.count; i++) {
			const struct list_entry *e = &page.entries[i];
			struct object object;

			assert_int_equal(e->key_bytes, strlen(e->key));
			strcat(strcat(text, e->key), "\n");
			assert_int_equal(e->folder, e->key[e->key_bytes - 1] == '/');
			if (e->folder)
				continue;
			assert_int_equal(bucket_head(bucket, e->key, &object), 0);
			assert_string_equal(object.etag, e->object.etag);
			assert_int_equal(object.size_bytes, e->object.size_bytes);
		}
		free(token);
		token = page.token;
		page.token = NULL;
		list_page_destroy(&page);
	} while (token);
	return text;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
