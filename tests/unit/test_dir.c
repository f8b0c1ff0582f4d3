/* A folder as a bucket: the contract of bucket.h through the door, a folder with hostile contents,
 * and puts and deletes that race for the same folders. */
#include "cache/base/buf.h"
#include "cache/bucket/bucket_uploads.h"
#include "dir_fixture.h"

/* -- objects -- */

static void objects_come_and_go(void **state)
{
	struct object made, seen;
	struct taking t = {.answer = 0};

	(void)state;
	assert_int_equal(put("a/b/c.txt", "hello world", &made), 0);
	assert_int_equal(made.size_bytes, 11);
	assert_true(made.etag[0] && made.mtime_ns > 0);
	assert_int_equal(bucket_head(bucket, "a/b/c.txt", &seen), 0);
	assert_string_equal(seen.etag, made.etag);
	assert_int_equal(seen.size_bytes, 11);
	assert_int_equal(seen.mtime_ns, made.mtime_ns);
	assert_false(seen.attrs.valid);

	assert_int_equal(get(&t, "a/b/c.txt", 0, 0, NULL), 0);
	assert_string_equal(t.bytes, "hello world");
	assert_int_equal(t.begun, 1);
	assert_string_equal(t.object.etag, made.etag);
	assert_int_equal(get(&t, "a/b/c.txt", 6, 3, made.etag), 0);
	assert_string_equal(t.bytes, "wor");
	assert_int_equal(t.object.size_bytes, 11);
	assert_int_equal(get(&t, "a/b/c.txt", 6, 300, ""), 0);
	assert_string_equal(t.bytes, "world");
	assert_int_equal(get(&t, "a/b/c.txt", 11, 0, NULL), -EPROTO);
	assert_int_equal(get(&t, "a/b/c.txt", 12, 1, NULL), -EPROTO);

	assert_int_equal(remove_one("a/b/c.txt"), 0);
	assert_false(is_there("a"));
	assert_int_equal(remove_one("a/b/c.txt"), 0);
	assert_int_equal(bucket_head(bucket, "a/b/c.txt", &seen), -ENOENT);
	assert_int_equal(get(&t, "a/b/c.txt", 0, 0, NULL), -ENOENT);
	assert_int_equal(t.begun, 0);
}

static void an_empty_object_has_a_beginning(void **state)
{
	struct taking t = {.answer = 0};

	(void)state;
	assert_int_equal(put("empty", "", NULL), 0);
	assert_int_equal(get(&t, "empty", 0, 0, NULL), 0);
	assert_int_equal(t.begun, 1);
	assert_int_equal(t.length, 0);
}

static void each_version_has_its_etag(void **state)
{
	char seen[50][ETAG_BYTES];
	struct object made;
	struct taking t = {.answer = 0};

	(void)state;
	/* Same length, often in the same inode and the same tick of the clock. */
	for (int i = 0; i < 50; i++) {
		assert_int_equal(put("f", i % 2 ? "aa" : "bb", &made), 0);
		strcpy(seen[i], made.etag);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(seen[j], seen[i]);
		if (i % 3 == 0)
			assert_int_equal(remove_one("f"), 0);
	}
	assert_int_equal(get(&t, "f", 0, 0, seen[0]), -ESTALE);
	assert_int_equal(t.begun, 0);
	assert_int_equal(get(&t, "f", 0, 0, seen[49]), 0);
	assert_int_equal(put("f", "cc", NULL), 0);
	assert_int_equal(get(&t, "f", 0, 0, seen[49]), -ESTALE);
}

static void the_receiver_can_end_a_transfer(void **state)
{
	struct taking t = {.answer = -EIO};

	(void)state;
	assert_int_equal(put("f", "text", NULL), 0);
	assert_int_equal(get(&t, "f", 0, 0, NULL), -EIO);
	assert_non_null(strstr(bucket_why(), "receiver"));
}

static void a_source_that_is_too_short_makes_no_object(void **state)
{
	int fd = source_of("short");
	struct put_request q = {.key = "f", .fd = fd, .length = 6};
	struct object object;

	(void)state;
	assert_int_equal(bucket_put(bucket, &q, &object), -EIO);
	assert_false(is_there("f"));
	q.offset = 1;
	q.length = 4;
	assert_int_equal(bucket_put(bucket, &q, &object), 0);
	assert_int_equal(object.size_bytes, 4);
	close(fd);
}

/* A file beside the bucket is copied by the kernel, a memfd by hand: both must be exact. */
static void large_objects_are_exact(void **state)
{
	enum { BYTES = 3000001, CUT = 5 };
	unsigned char *bytes = malloc(BYTES), *back = malloc(BYTES);
	char path[96];
	int fds[2];

	(void)state;
	for (size_t i = 0; i < BYTES; i++)
		bytes[i] = (unsigned char)(i * 2654435761u >> 13);
	snprintf(path, sizeof(path), "%s/source", outside);
	fds[0] = open(path, O_CREAT | O_RDWR, 0600);
	fds[1] = source_of("");
	for (int i = 0; i < 2; i++) {
		struct put_request q = {
		    .key = "big", .fd = fds[i], .offset = CUT, .length = BYTES - CUT};
		struct object object;
		int fd;

		assert_int_equal(pwrite(fds[i], bytes, BYTES, 0), BYTES);
		assert_int_equal(bucket_put(bucket, &q, &object), 0);
		assert_int_equal(object.size_bytes, BYTES - CUT);
		fd = open(path_of("big"), O_RDONLY);
		assert_int_equal(read(fd, back, BYTES), BYTES - CUT);
		assert_memory_equal(back, bytes + CUT, BYTES - CUT);
		close(fd);
		q.length++;
		assert_int_equal(bucket_put(bucket, &q, &object), -EIO);
		close(fds[i]);
	}
	free(bytes);
	free(back);
}

static void copies(void **state)
{
	struct copy_request q = {.from = "a", .to = "x/y"};
	struct object made, object;
	struct taking t = {.answer = 0};

	(void)state;
	assert_int_equal(put("a", "content", &made), 0);
	assert_int_equal(bucket_copy(bucket, &q, &object), 0);
	assert_int_equal(object.size_bytes, 7);
	assert_int_equal(get(&t, "x/y", 0, 0, object.etag), 0);
	assert_string_equal(t.bytes, "content");
	q.etag = object.etag;
	assert_int_equal(bucket_copy(bucket, &q, &object), -ESTALE);
	q.etag = made.etag;
	q.to = "a";
	assert_int_equal(bucket_copy(bucket, &q, &object), 0);
	q.from = "none";
	q.etag = NULL;
	assert_int_equal(bucket_copy(bucket, &q, &object), -ENOENT);
}

static void attrs_are_kept(void **state)
{
	static const struct {
		bool configured;
		uint32_t mode;
		bool kept;
	} rows[] = {{false, S_IFREG | 0640, false},
		    {true, S_IFREG | 0640, true},
		    {false, S_IFLNK | 0777, true}};
	struct object object;

	(void)state;
	if (setxattr(folder, "user.tootfs.probe", "1", 1, 0) != 0)
		skip();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct object_attrs attrs = {.valid = true,
					     .mode = rows[i].mode,
					     .uid = 991,
					     .gid = 4294967295u,
					     .mtime_ns = -5};
		int fd = source_of("../target");
		struct put_request q = {.key = "f", .fd = fd, .length = 9, .attrs = &attrs};

		bucket_close(&bucket);
		open_bucket(rows[i].configured);
		assert_int_equal(bucket_put(bucket, &q, &object), 0);
		close(fd);
		assert_int_equal(bucket_head(bucket, "f", &object), 0);
		assert_int_equal(object.attrs.valid, rows[i].kept);
		if (!rows[i].kept)
			continue;
		assert_int_equal(object.attrs.mode, rows[i].mode);
		assert_int_equal(object.attrs.uid, 991);
		assert_int_equal(object.attrs.gid, 4294967295u);
		assert_int_equal(object.attrs.mtime_ns, -5);
	}
	/* What somebody else wrote there is not believed half. */
	assert_int_equal(setxattr(path_of("f"), "user.tootfs.attrs", "1:2:3:4x", 8, 0), 0);
	assert_int_equal(bucket_head(bucket, "f", &object), 0);
	assert_false(object.attrs.valid);
}

static void a_file_and_a_folder_cannot_share_a_name(void **state)
{
	struct copy_request copy = {.from = "f", .to = "f/x"};
	struct object object;

	(void)state;
	assert_int_equal(put("f", "1", NULL), 0);
	assert_int_equal(put("f/x", "2", NULL), -EINVAL);
	assert_non_null(strstr(bucket_why(), "cannot have one name"));
	assert_int_equal(bucket_copy(bucket, &copy, &object), -EINVAL);
	assert_int_equal(put("d/e/x", "3", NULL), 0);
	assert_int_equal(put("d/e", "4", NULL), -EINVAL);
	assert_int_equal(put("d", "4", NULL), -EINVAL);
	assert_int_equal(remove_one("d/e/x"), 0);
	assert_int_equal(put("d", "5", NULL), 0);
	assert_int_equal(bucket_head(bucket, "d/e/x", &object), -ENOENT);
	assert_int_equal(remove_one("d/e/x"), 0);
	assert_true(is_there("d"));
	/* An empty folder is nothing to a bucket. */
	assert_int_equal(mkdir(path_of("hollow"), 0755), 0);
	assert_int_equal(put("hollow", "6", NULL), 0);
}

static void keys_that_cannot_be(void **state)
{
	static const char *const keys[] = {"",
					   "/a",
					   "a/",
					   "a//b",
					   ".",
					   "..",
					   "a/..",
					   "../a",
					   "./a",
					   ".tootfs-tmp",
					   ".tootfs-tmp/put-1"};
	char name[300], key[1100];
	struct object object;

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		assert_int_equal(put(keys[i], "x", NULL), -EINVAL);
		assert_string_not_equal(bucket_why(), "no further details");
	}
	memset(name, 'n', 256);
	name[256] = '\0';
	assert_int_equal(put(name, "x", NULL), -EINVAL);
	name[255] = '\0';
	assert_int_equal(put(name, "x", NULL), 0);
	key[0] = '\0';
	for (int i = 0; i < 4; i++) {
		strcat(key, name);
		strcat(key, "/");
	}
	key[strlen(key) - 1] = '\0'; /* 1023 bytes */
	assert_int_equal(remove_one(name), 0);
	assert_int_equal(put(key, "x", NULL), 0);
	assert_int_equal(bucket_head(bucket, key, &object), 0);
	strcat(key, "nn");
	assert_int_equal(put(key, "x", NULL), -EINVAL);
}

static void results_are_per_key(void **state)
{
	const char *keys[] = {"a/1", "a/2", "none/x", "b"};
	int results[4] = {9, 9, 9, 9};

	(void)state;
	for (int i = 0; i < 4; i++)
		if (i != 2)
			assert_int_equal(put(keys[i], "x", NULL), 0);
	assert_int_equal(bucket_remove(bucket, keys, 4, results), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(results[i], 0);
	assert_false(is_there("a"));
	assert_false(is_there("b"));
}

/* -- hostile contents -- */

static void symlinks_and_odd_files_are_no_objects(void **state)
{
	char secret[128];
	struct object object;
	struct stat st;
	char *list;
	FILE *f;

	(void)state;
	snprintf(secret, sizeof(secret), "%s/secret", outside);
	f = fopen(secret, "w");
	fputs("secret", f);
	fclose(f);
	assert_int_equal(put("real", "real", NULL), 0);
	assert_int_equal(symlink(secret, path_of("link")), 0);
	assert_int_equal(symlink(outside, path_of("dirlink")), 0);
	assert_int_equal(symlink("real", path_of("inside")), 0);
	assert_int_equal(mkfifo(path_of("fifo"), 0644), 0);

	list = list_all("", false, NULL, 0);
	assert_string_equal(list, "real\n");
	free(list);
	list = list_all("dirlink/", false, NULL, 0);
	assert_string_equal(list, "");
	free(list);
	static const char *const keys[] = {"link", "dirlink/secret", "inside", "fifo", "dirlink"};
	for (size_t i = 0; i < 5; i++) {
		struct taking t = {.answer = 0};

		assert_int_equal(bucket_head(bucket, keys[i], &object), -ENOENT);
		assert_int_equal(get(&t, keys[i], 0, 0, NULL), -ENOENT);
		assert_int_equal(remove_one(keys[i]), 0);
	}
	assert_true(is_there("link") && is_there("fifo") && is_there("dirlink"));
	assert_int_equal(stat(secret, &st), 0);
	/* Nothing is written through a link, neither to its target nor below. */
	assert_int_equal(put("dirlink/new", "x", NULL), -EINVAL);
	assert_int_equal(put("link", "mine", NULL), 0);
	assert_int_equal(lstat(path_of("link"), &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(stat(secret, &st), 0);
	assert_int_equal(st.st_size, 6);
	snprintf(secret, sizeof(secret), "%s/new", outside);
	assert_int_equal(access(secret, F_OK), -1);
}

/* The same without openat2(2), as in old kernels and sandboxes. */
static void the_walk_by_steps_is_as_careful(void **state)
{
	struct dir_bucket *d = reopen_by_steps();
	struct stat st;

	objects_come_and_go(state);
	assert_int_equal(put("a/b", "x", NULL), 0);
	assert_int_equal(dir_open_at(d, "..", O_PATH), -EXDEV);
	assert_int_equal(dir_open_at(d, "a/../..", O_PATH), -EXDEV);
	assert_int_equal(symlink(outside, path_of("sym")), 0);
	assert_int_equal(put("sym/x", "x", NULL), -EINVAL);
	assert_int_equal(stat(outside, &st), 0);
	assert_int_equal(st.st_nlink, 2);
}

/* -- uploads -- */

static int part(const char *key, const char *id, unsigned number, const char *text,
		struct part *out)
{
	int fd = source_of(text);
	struct part_request q = {
	    .key = key, .id = id, .number = number, .fd = fd, .length = strlen(text)};
	int r = bucket_upload_part(bucket, &q, out);

	close(fd);
	return r;
}

static int count_visit(void *arg, const char *id, int64_t initiated_ns)
{
	assert_int_equal(strlen(id), 32);
	assert_true(initiated_ns > 0);
	return ++*(int *)arg > 10 ? -E2BIG : 0;
}

static int note_upload(void *arg, const char *key, const char *id, int64_t initiated_ns)
{
	assert_int_equal(strlen(id), 32);
	assert_true(initiated_ns > 0);
	buf_printf(arg, "[%s]", key);
	return 0;
}

static void uploads_become_objects(void **state)
{
	struct object_attrs attrs = {
	    .valid = true, .mode = S_IFLNK | 0777, .uid = 1, .gid = 2, .mtime_ns = 3};
	char id[UPLOAD_ID_BYTES], other[UPLOAD_ID_BYTES];
	struct object object, again;
	struct taking t = {.answer = 0};
	struct part parts[3];
	int count = 0;
	char *list;

	(void)state;
	assert_int_equal(bucket_upload_create(bucket, "v/\nkey", &attrs, NULL, id), 0);
	assert_int_equal(bucket_upload_create(bucket, "other", NULL, NULL, other), 0);
	assert_int_equal(part("v/\nkey", id, 1, "one", &parts[0]), 0);
	assert_int_equal(part("v/\nkey", id, 7, "wrong", &parts[2]), 0);
	assert_int_equal(part("v/\nkey", id, 7, "three", &parts[2]), 0);
	assert_int_equal(part("v/\nkey", id, 2, "two", &parts[1]), 0);
	assert_int_equal(part("v/\nkey", other, 2, "two", &parts[1]), -ENOMSG);
	assert_int_equal(part("v/\nkey", "../../etc", 2, "two", &parts[1]), -ENOMSG);
	assert_int_equal(part("v/\nkey", id, 2, "two", &parts[1]), 0);
	assert_int_equal(bucket_upload_list(bucket, "v/\nkey", count_visit, &count), 0);
	assert_int_equal(count, 1);
	{
		AUTO_BUF struct buf all = BUF_EMPTY;
		assert_int_equal(bucket_uploads_each(bucket, note_upload, &all), 0);
		assert_non_null(strstr(buf_string(&all), "[v/\nkey]"));
		assert_non_null(strstr(buf_string(&all), "[other]"));
		assert_int_equal(all.length, strlen("[v/\nkey][other]"));
	}
	list = list_all("", false, NULL, 0);
	assert_string_equal(list, "");
	free(list);

	assert_int_equal(bucket_upload_complete(bucket, &(struct complete_request){"v/\nkey", id, parts, 3, 11}, &object), 0);
	assert_int_equal(object.size_bytes, 11);
	assert_int_equal(get(&t, "v/\nkey", 0, 0, object.etag), 0);
	assert_string_equal(t.bytes, "onetwothree");
	/* The answer was lost: the same again tells the same. */
	assert_int_equal(bucket_upload_complete(bucket, &(struct complete_request){"v/\nkey", id, parts, 3, 11}, &again), 0);
	assert_string_equal(again.etag, object.etag);
	assert_int_equal(part("v/\nkey", id, 1, "one", &parts[0]), -ENOMSG);
	assert_int_equal(bucket_upload_abort(bucket, "v/\nkey", id), 0);

	assert_int_equal(bucket_upload_abort(bucket, "other", other), 0);
	count = 0;
	assert_int_equal(bucket_upload_list(bucket, "other", count_visit, &count), 0);
	assert_int_equal(count, 0);
	bucket_stop(bucket);
	bucket_close(&bucket);
	assert_false(is_there(".tootfs-tmp"));
	open_bucket(false);
}

static void an_upload_is_not_what_it_seems(void **state)
{
	char id[UPLOAD_ID_BYTES];
	struct object object;
	struct part parts[2];

	(void)state;
	/* An older object of the same length is not what the lost upload made. */
	assert_int_equal(put("k", "sixsix", NULL), 0);
	assert_int_equal(bucket_upload_create(bucket, "k", NULL, NULL, id), 0);
	assert_int_equal(part("k", id, 1, "new", &parts[0]), 0);
	assert_int_equal(part("k", id, 2, "new", &parts[1]), 0);
	strcpy(parts[1].etag, parts[0].etag);
	assert_int_equal(bucket_upload_complete(bucket, &(struct complete_request){"k", id, parts, 2, 6}, &object), -ENOMSG);
	assert_int_equal(bucket_upload_abort(bucket, "k", id), 0);
	assert_int_equal(bucket_upload_complete(bucket, &(struct complete_request){"k", id, parts, 2, 6}, &object), -ENOMSG);
	assert_int_equal(bucket_head(bucket, "k", &object), 0);
	assert_int_equal(object.size_bytes, 6);
}

/* A process was killed while it removed an upload: the parts are still there, the key file is not. */
static void half_an_upload_is_removed(void **state)
{
	char id[UPLOAD_ID_BYTES], key_file[256];
	struct part sent;

	(void)state;
	assert_int_equal(bucket_upload_create(bucket, "k", NULL, NULL, id), 0);
	assert_int_equal(part("k", id, 1, "new", &sent), 0);
	snprintf(key_file, sizeof(key_file), ".tootfs-tmp/upload-%s/key", id);
	assert_int_equal(unlink(path_of(key_file)), 0);
	assert_int_equal(bucket_upload_abort(bucket, "k", id), 0);
	bucket_stop(bucket);
	bucket_close(&bucket);
	assert_false(is_there(".tootfs-tmp"));
	open_bucket(false);
}

/* Another process, such as fsck, removes the temporary folder when it closes. */
static void the_temporary_folder_may_vanish(void **state)
{
	char id[UPLOAD_ID_BYTES];

	(void)state;
	assert_int_equal(put("a", "1", NULL), 0);
	assert_int_equal(rmdir(path_of(".tootfs-tmp")), 0);
	assert_int_equal(put("a", "2", NULL), 0);
	assert_int_equal(rmdir(path_of(".tootfs-tmp")), 0);
	assert_int_equal(bucket_upload_create(bucket, "b", NULL, NULL, id), 0);
}

/* -- races -- */

enum { RACERS = 4, TURNS = 150 };

static void *race(void *arg)
{
	int n = *(int *)arg;
	char key[64];
	uintptr_t wrong = 0;

	for (int i = 0; i < TURNS; i++) {
		struct object object;

		snprintf(key, sizeof(key), "x/y/z/file%d", n);
		if (put(key, "racing", &object) != 0 || bucket_head(bucket, key, &object) != 0 ||
		    object.size_bytes != 6 || remove_one(key) != 0)
			wrong++;
	}
	return (void *)wrong;
}

static void puts_and_removes_share_folders(void **state)
{
	pthread_t threads[RACERS];
	int numbers[RACERS];
	void *wrong;

	(void)state;
	for (int i = 0; i < RACERS; i++) {
		numbers[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, race, &numbers[i]), 0);
	}
	for (int i = 0; i < RACERS; i++) {
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	assert_false(is_there("x"));
}

/* -- opening -- */

static void specs(void **state)
{
	static const struct {
		const char *spec;
		int result;
		const char *words;
	} rows[] = {
	    {"file://relative", -EINVAL, "three slashes"},
	    {"file:///", -EINVAL, "whole filesystem"},
	    {"file:///no/such/folder", -ENODEV, "mkdir -p /no/such/folder"},
	    {"file:///etc/passwd", -EINVAL, "/etc/passwd"},
	    {"ftp://x", -EINVAL, "s3://NAME"},
	    {"", -EINVAL, "s3://NAME"},
	};
	struct bucket *b;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bucket_config config = {.spec = rows[i].spec};

		assert_int_equal(bucket_open(&config, &b), rows[i].result);
		assert_null(b);
		assert_non_null(strstr(bucket_why(), rows[i].words));
	}
	assert_int_equal(bucket_probe(bucket), 0);
	assert_non_null(strstr(bucket_identity(bucket), folder));
	assert_int_equal(bucket_key_bytes_max(bucket), KEY_BYTES_MAX);
}

/* Everything is missing then, but nothing was deleted. */
static void a_folder_that_is_gone(void **state)
{
	struct list_request q = {.prefix = ""};
	struct taking t = {.answer = 0};
	struct object object;
	struct list_page page;

	(void)state;
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(bucket_head(bucket, "a", &object), -ENODEV);
	assert_non_null(strstr(bucket_why(), folder));
	assert_int_equal(get(&t, "a", 0, 0, NULL), -ENODEV);
	assert_int_equal(bucket_list(bucket, &q, &page), -ENODEV);
	assert_int_equal(bucket_probe(bucket), -ENODEV);
	assert_int_equal(put("a", "x", NULL), -ENODEV);
	assert_int_equal(put("a/b", "x", NULL), -ENODEV);
	assert_int_equal(remove_one("a"), -ENODEV);
}

static void leftovers_are_swept_when_old(void **state)
{
	struct timespec old[2] = {{0}, {0}};
	int fd;

	(void)state;
	assert_int_equal(put("a", "1", NULL), 0);
	fd = open(path_of(".tootfs-tmp/put-old"), O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	futimens(fd, old);
	close(fd);
	bucket_close(&bucket);
	/* Its ctime says that it is new, whatever the mtime says. */
	open_bucket(false);
	assert_true(is_there(".tootfs-tmp/put-old"));
}

static void stopping_ends_calls(void **state)
{
	struct object object;

	(void)state;
	assert_int_equal(put("a", "1", NULL), 0);
	bucket_stop(bucket);
	assert_int_equal(bucket_head(bucket, "a", &object), -ECANCELED);
	assert_int_equal(put("b", "1", NULL), -ECANCELED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(objects_come_and_go),
	    TEST(an_empty_object_has_a_beginning),
	    TEST(each_version_has_its_etag),
	    TEST(the_receiver_can_end_a_transfer),
	    TEST(a_source_that_is_too_short_makes_no_object),
	    TEST(large_objects_are_exact),
	    TEST(copies),
	    TEST(attrs_are_kept),
	    TEST(a_file_and_a_folder_cannot_share_a_name),
	    TEST(keys_that_cannot_be),
	    TEST(results_are_per_key),
	    TEST(symlinks_and_odd_files_are_no_objects),
	    TEST(the_walk_by_steps_is_as_careful),
	    TEST(uploads_become_objects),
	    TEST(an_upload_is_not_what_it_seems),
	    TEST(half_an_upload_is_removed),
	    TEST(the_temporary_folder_may_vanish),
	    TEST(puts_and_removes_share_folders),
	    TEST(specs),
	    TEST(a_folder_that_is_gone),
	    TEST(leftovers_are_swept_when_old),
	    TEST(stopping_ends_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
