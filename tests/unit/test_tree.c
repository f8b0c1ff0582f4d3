/* The tree against an oracle: the same random calls on a cache with a file:// bucket and on a plain folder must give the
 * same errors, the same tree, and, once all is sent, the same bucket; also with a restart, eviction and threads in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "cache/base/clock.h"
#include "cache/base/list.h"
#include "cache/base/log.h"
#include "cache/file.h"
#include "cache/index/index.h"
#include "cache/tree.h"

enum { PATH_BYTES = 512 };

struct world {
	char base[64], oracle[96];
	char top[16]; /* where random paths begin, "" or with its '/' */
	struct cache_config config;
	struct cache *cache;
	uint64_t random;
};

static void ok(int r)
{
	if (r)
		fail_msg("error %d: %s", r, strerror(r < 0 ? -r : r));
}

static unsigned pick(struct world *w, unsigned n)
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(w->random >> 33) % n;
}

static void set(struct world *w, const char *name, const char *value)
{
	struct buf why AUTO_BUF = BUF_EMPTY;
	if (config_set(&w->config, name, value, &why))
		fail_msg("%s", buf_string(&why));
}

static void mount_cache(struct world *w)
{
	struct buf why AUTO_BUF = BUF_EMPTY;
	if (cache_open(&w->config, &w->cache, &why))
		fail_msg("%s", buf_string(&why));
	ok(cache_start(w->cache, NULL));
}

static void unmount_cache(struct world *w, bool drain)
{
	if (drain)
		ok(cache_drain(w->cache, clock_ms() + 60000, NULL, NULL));
	cache_stop(w->cache);
	cache_close(&w->cache);
}

static void setup_world(struct world *w, uint64_t seed, const char *cache_size)
{
	struct buf why AUTO_BUF = BUF_EMPTY;
	char path[128];
	memset(w, 0, sizeof *w);
	w->random = seed;
	strcpy(w->base, "/tmp/tootfs-tree-XXXXXX");
	assert_non_null(mkdtemp(w->base));
	snprintf(path, sizeof path, "%s/bucket", w->base);
	ok(mkdir(path, 0700));
	snprintf(w->oracle, sizeof w->oracle, "%s/oracle", w->base);
	ok(mkdir(w->oracle, 0700));
	config_init(&w->config);
	snprintf(path, sizeof path, "file://%s/bucket", w->base);
	ok(config_spec(&w->config, path));
	snprintf(path, sizeof path, "%s/cache", w->base);
	set(w, "cache", path);
	set(w, "cache_size", cache_size);
	set(w, "uid", "0");
	set(w, "gid", "0");
	set(w, "sticky", "off");
	if (config_finish(&w->config, &why))
		fail_msg("%s", buf_string(&why));
	mount_cache(w);
}

static void teardown_world(struct world *w)
{
	char command[128];
	config_destroy(&w->config);
	snprintf(command, sizeof command, "rm -r %s", w->base);
	ok(system(command));
}

/* -- calls by path, on both sides; each returns 0 or -errno -- */

static const struct caller root = {0, 0};

static int walk_to(struct world *w, const char *path, uint64_t *parent, const char **name)
{
	struct stat st;
	const char *slash;
	*parent = INO_ROOT;
	while ((slash = strchr(path, '/'))) {
		char part[64];
		snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
		int r = tree_lookup(w->cache, *parent, part, &st);
		if (r)
			return r;
		if (!S_ISDIR(st.st_mode))
			return -ENOTDIR;
		*parent = st.st_ino;
		path = slash + 1;
	}
	*name = path;
	return 0;
}

static int look(struct world *w, const char *path, struct stat *st)
{
	uint64_t parent;
	const char *name;
	int r = walk_to(w, path, &parent, &name);
	return r ? r : tree_lookup(w->cache, parent, name, st);
}

static void on_oracle(struct world *w, const char *path, char out[PATH_BYTES])
{
	snprintf(out, PATH_BYTES, "%s/%s", w->oracle, path);
}

static int errno_of(int result)
{
	return result < 0 ? -errno : 0;
}

static int copy_bytes(void *arg, int fd, uint64_t offset, uint64_t length)
{
	return pwrite(fd, arg, length, (off_t)offset) == (ssize_t)length ? 0 : -EIO;
}

/* One open, one write, one close. flags: 0, O_TRUNC; O_CREAT always. */
static int write_tree(struct world *w, const char *path, int flags, off_t offset, char *bytes, size_t length)
{
	struct write_source source = {copy_bytes, bytes};
	struct file *file;
	struct stat st;
	uint64_t parent;
	const char *name;
	int r = walk_to(w, path, &parent, &name);
	if (!r)
		r = tree_lookup(w->cache, parent, name, &st);
	if (r == -ENOENT && !walk_to(w, path, &parent, &name)) {
		struct create create = {parent, name, 0644, O_WRONLY, root};
		r = tree_create(w->cache, &create, &file, &st);
	} else if (!r) {
		r = S_ISDIR(st.st_mode) ? -EISDIR : file_open(w->cache, st.st_ino, O_WRONLY | flags, &file);
	}
	if (r)
		return r;
	r = file_write(file, (uint64_t)offset, length, &source);
	int flushed = file_flush(file);
	file_close(&file);
	return r ? r : flushed;
}

static int write_oracle(struct world *w, const char *path, int flags, off_t offset, char *bytes, size_t length)
{
	char at[PATH_BYTES];
	on_oracle(w, path, at);
	int fd = open(at, O_WRONLY | O_CREAT | flags, 0644);
	if (fd < 0)
		return -errno;
	int r = pwrite(fd, bytes, length, offset) == (ssize_t)length ? 0 : -EIO;
	close(fd);
	return r;
}

static int rename_tree(struct world *w, const char *from, const char *to, unsigned flags)
{
	struct rename rename = {.flags = flags};
	int r = walk_to(w, from, &rename.from_parent, &rename.from);
	if (!r)
		r = walk_to(w, to, &rename.to_parent, &rename.to);
	return r ? r : tree_rename(w->cache, &rename);
}

static int rename_oracle(struct world *w, const char *from, const char *to, unsigned flags)
{
	char a[PATH_BYTES], b[PATH_BYTES];
	on_oracle(w, from, a);
	on_oracle(w, to, b);
	return errno_of(renameat2(AT_FDCWD, a, AT_FDCWD, b, flags));
}

static int link_tree(struct world *w, const char *from, const char *to)
{
	struct stat st;
	uint64_t parent;
	const char *name;
	int r = look(w, from, &st);
	if (!r)
		r = walk_to(w, to, &parent, &name);
	if (!r && !tree_lookup(w->cache, parent, name, &(struct stat){0}))
		return -EEXIST; /* as the kernel does before it asks */
	return r ? r : tree_link(w->cache, st.st_ino, parent, name, &st);
}

static int truncate_tree(struct world *w, const char *path, off_t size)
{
	struct stat st;
	int r = look(w, path, &st);
	if (!r && S_ISDIR(st.st_mode))
		r = -EISDIR;
	return r ? r : file_truncate(w->cache, st.st_ino, NULL, (uint64_t)size, &st);
}

/* -- a random step -- */

/* Names of folders and of files differ: a file:// bucket cannot have "a" and "a/b" at a time, S3 can. */
static void random_path(struct world *w, bool folder, char out[PATH_BYTES])
{
	static const char *const folders[] = {"a", "b", "c-", "d"};
	static const char *const files[] = {"e", "f.jpg", "g-", "h"};
	strcpy(out, w->top);
	for (unsigned depth = pick(w, 3); depth; depth--) {
		strcat(out, folders[pick(w, 4)]);
		strcat(out, "/");
	}
	strcat(out, folder ? folders[pick(w, 4)] : files[pick(w, 4)]);
}

static void same(const char *what, const char *path, const char *other, int tree, int oracle)
{
	if (tree != oracle)
		fail_msg("%s %s %s: tree says %s, the folder %s", what, path, other,
			 tree ? strerror(-tree) : "done", oracle ? strerror(-oracle) : "done");
}

static void step_write(struct world *w, const char *path)
{
	char bytes[3000];
	size_t length = 1 + pick(w, sizeof bytes);
	int flags = pick(w, 2) ? O_TRUNC : 0;
	off_t offset = flags ? 0 : (off_t)pick(w, 4000);
	for (size_t i = 0; i < length; i++)
		bytes[i] = (char)pick(w, 256);
	same("write", path, "", write_tree(w, path, flags, offset, bytes, length),
	     write_oracle(w, path, flags, offset, bytes, length));
}

static void step_rename(struct world *w, const char *path, bool folder)
{
	static const unsigned flags[] = {0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
	char to[PATH_BYTES];
	unsigned f = flags[pick(w, 5)];
	random_path(w, folder, to);
	size_t length = strlen(to);
	if (!strncmp(path, to, length) && path[length] == '/') /* the kernel does not ask then */
		return;
	same("rename", path, to, rename_tree(w, path, to, f), rename_oracle(w, path, to, f));
}

static void step_names(struct world *w, const char *path, unsigned what)
{
	char at[PATH_BYTES], to[PATH_BYTES], b[PATH_BYTES];
	struct stat st;
	uint64_t parent = 0;
	const char *name = "";
	on_oracle(w, path, at);
	int r = walk_to(w, path, &parent, &name);
	switch (what) {
	case 0:
		same("mkdir", path, "", r ? r : tree_mkdir(w->cache, parent, name, 0755, &root, &st),
		     errno_of(mkdir(at, 0755)));
		break;
	case 1:
		same("unlink", path, "", r ? r : tree_unlink(w->cache, parent, name), errno_of(unlink(at)));
		break;
	case 2:
		same("rmdir", path, "", r ? r : tree_rmdir(w->cache, parent, name), errno_of(rmdir(at)));
		break;
	default:
		random_path(w, false, to);
		on_oracle(w, to, b);
		r = link_tree(w, path, to);
		same("link", path, to, r, errno_of(link(at, b)));
	}
}

static void step(struct world *w)
{
	char path[PATH_BYTES], at[PATH_BYTES];
	unsigned what = pick(w, 18);
	bool folder = what < 6 ? false : what == 11 || pick(w, 2);
	random_path(w, folder, path);
	if (what < 6)
		step_write(w, path);
	else if (what < 10)
		step_rename(w, path, folder);
	else if (what < 12)
		step_names(w, path, folder ? 0 : 1);
	else if (what < 17)
		step_names(w, path, 1 + (what - 12) % 3);
	else {
		off_t size = (off_t)pick(w, 5000);
		on_oracle(w, path, at);
		same("truncate", path, "", truncate_tree(w, path, size), errno_of(truncate(at, size)));
	}
}

/* -- comparing -- */

struct reading {
	struct file_read read;
	sem_t done;
	int error;
};

static void done_reading(struct file_read *read, int error)
{
	struct reading *reading = container_of(read, struct reading, read);
	reading->error = error;
	sem_post(&reading->done);
}

static void read_all(struct world *w, uint64_t ino, char *out, size_t size)
{
	struct reading reading = {.read = {.length = size, .done = done_reading}};
	struct file *file;
	ok(sem_init(&reading.done, 0, 0));
	ok(file_open(w->cache, ino, O_RDONLY, &file));
	int r = file_read(file, &reading.read);
	if (r == -EINPROGRESS) {
		sem_wait(&reading.done);
		r = reading.error;
	}
	ok(r);
	assert_int_equal(reading.read.span.length, size);
	if (size)
		assert_int_equal(pread(reading.read.span.fd, out, size, (off_t)reading.read.span.offset),
				 size);
	file_span_release(&reading.read.span);
	file_close(&file);
	sem_destroy(&reading.done);
}

struct comparison {
	struct world *w;
	char path[PATH_BYTES];
	unsigned entries;
};

static void compare_file(struct comparison *c, const struct stat *st, const struct stat *want)
{
	char tree[16384], oracle[16384], at[PATH_BYTES];
	assert_int_equal(st->st_size, want->st_size);
	assert_true((size_t)want->st_size <= sizeof oracle);
	on_oracle(c->w, c->path, at);
	int fd = open(at, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, oracle, sizeof oracle), want->st_size);
	close(fd);
	read_all(c->w, st->st_ino, tree, (size_t)st->st_size);
	if (memcmp(tree, oracle, (size_t)st->st_size))
		fail_msg("%s differs", c->path);
}

static void compare_folder(struct comparison *c, uint64_t ino);

static int compare_entry(void *arg, const struct listing_entry *entry)
{
	struct comparison *c = arg;
	size_t length = strlen(c->path);
	char at[PATH_BYTES];
	struct stat want;
	snprintf(c->path + length, PATH_BYTES - length, "%s%s", length ? "/" : "", entry->name);
	on_oracle(c->w, c->path, at);
	if (lstat(at, &want))
		fail_msg("%s is in the tree, not in the folder", c->path);
	assert_int_equal(entry->stat.st_mode & S_IFMT, want.st_mode & S_IFMT);
	bool unknown = S_ISDIR(want.st_mode) && entry->stat.st_nlink == 1;
	if (entry->stat.st_nlink != want.st_nlink && !unknown)
		fail_msg("%s: nlink %u, not %u", c->path, (unsigned)entry->stat.st_nlink,
			 (unsigned)want.st_nlink);
	c->entries++;
	if (S_ISDIR(want.st_mode))
		compare_folder(c, entry->stat.st_ino);
	else
		compare_file(c, &entry->stat, &want);
	c->path[length] = '\0';
	return 0;
}

static unsigned count_entries(const char *folder)
{
	unsigned count = 0;
	DIR *d = opendir(folder);
	for (struct dirent *e; d && (e = readdir(d));)
		count += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	if (d)
		closedir(d);
	return count;
}

static void compare_folder(struct comparison *c, uint64_t ino)
{
	struct listing *listing;
	unsigned before = c->entries;
	char at[PATH_BYTES];
	on_oracle(c->w, c->path, at);
	c->entries = 0;
	ok(listing_open(c->w->cache, ino, &listing));
	ok(listing_read(listing, 0, compare_entry, c));
	listing_close(&listing);
	assert_int_equal(c->entries, count_entries(at));
	c->entries = before;
}

static void compare_tree(struct world *w)
{
	struct comparison c = {.w = w};
	compare_folder(&c, INO_ROOT);
}

/* The bucket has the files of the oracle, and nothing else. */
static void compare_bucket(struct world *w)
{
	char command[512];
	snprintf(command, sizeof command,
		 "cd %s && find oracle -type f -printf '%%P\n' | sort >want && "
		 "find bucket -name .tootfs-tmp -prune -o -type f -printf '%%P\n' | sort >have && "
		 "diff want have && while read -r f; do cmp \"oracle/$f\" \"bucket/$f\" || exit 1; done <want",
		 w->base);
	ok(system(command));
}

/* -- the tests -- */

static void run_steps(struct world *w, unsigned steps)
{
	for (unsigned i = 0; i < steps; i++)
		step(w);
	compare_tree(w);
}

static void test_random_calls(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct world w;
		setup_world(&w, seed, "64M");
		for (unsigned round = 0; round < 6; round++) {
			run_steps(&w, 150);
			switch (pick(&w, 3)) {
			case 0: /* sent: the bucket is the tree */
				ok(cache_drain(w.cache, clock_ms() + 60000, NULL, NULL));
				compare_bucket(&w);
				break;
			case 1: /* stopped with work left */
				unmount_cache(&w, false);
				mount_cache(&w);
				compare_tree(&w);
				break;
			default: /* goes on while it is sent */
				usleep(200000);
			}
		}
		unmount_cache(&w, true);
		compare_bucket(&w);
		teardown_world(&w);
	}
}

/* After the cache is lost, the bucket alone gives the same tree. */
static void test_lost_cache(void **state)
{
	static const char *const paths[] = {"x/y/z", "x/y/w", "top", "x/v.jpg"};
	(void)state;
	struct world w;
	struct stat st;
	char at[PATH_BYTES];
	setup_world(&w, 77, "64M");
	ok(tree_mkdir(w.cache, INO_ROOT, "x", 0755, &root, &st));
	ok(tree_mkdir(w.cache, st.st_ino, "y", 0755, &root, &st));
	on_oracle(&w, "x", at);
	ok(mkdir(at, 0755));
	on_oracle(&w, "x/y", at);
	ok(mkdir(at, 0755));
	for (unsigned i = 0; i < 100; i++)
		step_write(&w, paths[pick(&w, 4)]);
	unmount_cache(&w, true);
	compare_bucket(&w);
	snprintf(at, sizeof at, "rm -r %s/cache", w.base);
	ok(system(at));
	mount_cache(&w);
	compare_tree(&w);
	unmount_cache(&w, true);
	teardown_world(&w);
}

/* Four writers at a time, each in a folder of its own, so that the oracle's answers do not depend on the order. */
struct writer {
	struct world w; /* a copy: the cache is shared, the rest is its own */
	pthread_t thread;
};

static void *write_much(void *arg)
{
	struct writer *writer = arg;
	for (unsigned i = 0; i < 400; i++)
		step(&writer->w);
	return NULL;
}

static void test_many_writers(void **state)
{
	struct world w;
	struct writer writers[4];
	struct stat st;
	(void)state;
	setup_world(&w, 5, "64M");
	for (unsigned i = 0; i < 4; i++) {
		writers[i].w = w;
		writers[i].w.random = 100 + i;
		snprintf(writers[i].w.top, sizeof writers[i].w.top, "t%u/", i);
		snprintf(writers[i].w.base, sizeof writers[i].w.base, "t%u", i);
		ok(tree_mkdir(w.cache, INO_ROOT, writers[i].w.base, 0755, &root, &st));
		char at[PATH_BYTES];
		on_oracle(&w, writers[i].w.base, at);
		ok(mkdir(at, 0755));
	}
	for (unsigned i = 0; i < 4; i++)
		ok(pthread_create(&writers[i].thread, NULL, write_much, &writers[i]));
	for (unsigned i = 0; i < 4; i++)
		pthread_join(writers[i].thread, NULL);
	compare_tree(&w);
	unmount_cache(&w, true);
	compare_bucket(&w);
	teardown_world(&w);
}

/* More content than the cache may hold: the limit is never passed, and all comes back from the bucket. */
static void test_more_than_fits(void **state)
{
	enum { FILES = 120, SIZE = 1 << 20 };
	struct world w;
	char *bytes = malloc(SIZE), *back = malloc(SIZE), path[PATH_BYTES], command[256];
	(void)state;
	setup_world(&w, 9, "64M");
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(path, sizeof path, "big-%u", i);
		memset(bytes, (int)i, SIZE);
		ok(write_tree(&w, path, O_TRUNC, 0, bytes, SIZE));
		snprintf(command, sizeof command, "test $(du -sk %s/cache/blobs | cut -f1) -le 65600", w.base);
		if (i % 10 == 9)
			ok(system(command));
	}
	for (unsigned i = 0; i < FILES; i++) {
		struct stat st;
		snprintf(path, sizeof path, "big-%u", i);
		ok(look(&w, path, &st));
		assert_int_equal(st.st_size, SIZE);
		memset(bytes, (int)i, SIZE);
		read_all(&w, st.st_ino, back, SIZE);
		assert_memory_equal(bytes, back, SIZE);
	}
	ok(system(command));
	unmount_cache(&w, true);
	teardown_world(&w);
	free(bytes);
	free(back);
}

/* Uploaded files change places, in one call and by way of a third name; each content exists only at the other's key. */
static void test_uploaded_files_change_places(void **state)
{
	struct world w;
	(void)state;
	setup_world(&w, 3, "64M");
	for (unsigned round = 0; round < 2; round++) {
		same("write", "e", "", write_tree(&w, "e", O_TRUNC, 0, "first", 5), write_oracle(&w, "e", O_TRUNC, 0, "first", 5));
		same("write", "g", "", write_tree(&w, "g", O_TRUNC, 0, "second", 6), write_oracle(&w, "g", O_TRUNC, 0, "second", 6));
		ok(cache_drain(w.cache, clock_ms() + 20000, NULL, NULL));
		if (round == 0) {
			same("rename", "e", "g", rename_tree(&w, "e", "g", RENAME_EXCHANGE), rename_oracle(&w, "e", "g", RENAME_EXCHANGE));
		} else {
			same("rename", "e", "h", rename_tree(&w, "e", "h", 0), rename_oracle(&w, "e", "h", 0));
			same("rename", "g", "e", rename_tree(&w, "g", "e", 0), rename_oracle(&w, "g", "e", 0));
			same("rename", "h", "g", rename_tree(&w, "h", "g", 0), rename_oracle(&w, "h", "g", 0));
		}
		ok(cache_drain(w.cache, clock_ms() + 20000, NULL, NULL));
		compare_tree(&w);
		compare_bucket(&w);
	}
	unmount_cache(&w, true);
	teardown_world(&w);
}

/* Each page has room for one entry; every page is asked for by a listing that remembers nothing. */
struct one_page {
	char name[64];
	uint64_t cookie;
};

static int take_one(void *arg, const struct listing_entry *entry)
{
	struct one_page *page = arg;
	if (page->cookie)
		return 1;
	snprintf(page->name, sizeof page->name, "%s", entry->name);
	page->cookie = entry->cookie;
	return 0;
}

static unsigned count_by_pages(struct world *w, uint64_t ino)
{
	uint64_t cookie = 0;
	for (unsigned pages = 0; pages < 100; pages++) {
		struct listing *listing;
		struct one_page page = {.cookie = 0};
		ok(listing_open(w->cache, ino, &listing));
		ok(listing_read(listing, cookie, take_one, &page));
		listing_close(&listing);
		if (!page.cookie)
			return pages;
		assert_true(page.cookie > 2);
		cookie = page.cookie;
	}
	return 100;
}

static void test_listing_goes_on(void **state)
{
	struct world w;
	struct stat st;
	(void)state;
	setup_world(&w, 1, "64M");
	/* the very first node, alone in the root */
	ok(tree_mkdir(w.cache, INO_ROOT, "only", 0755, &root, &st));
	assert_int_equal(count_by_pages(&w, INO_ROOT), 1);
	/* a further name of a file, whose cookie is no ino; also after the first name is gone */
	ok(write_tree(&w, "only/a", 0, 0, "x", 1));
	ok(link_tree(&w, "only/a", "only/b"));
	ok(link_tree(&w, "only/a", "only/c"));
	assert_int_equal(count_by_pages(&w, st.st_ino), 3);
	ok(tree_unlink(w.cache, st.st_ino, "a"));
	assert_int_equal(count_by_pages(&w, st.st_ino), 2);
	unmount_cache(&w, true);
	teardown_world(&w);
}

int main(void)
{
	const struct log_config log = {.level = LOG_LEVEL_WARN};
	log_setup(&log);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listing_goes_on),
		cmocka_unit_test(test_random_calls),
		cmocka_unit_test(test_uploaded_files_change_places),
		cmocka_unit_test(test_many_writers),
		cmocka_unit_test(test_more_than_fits),
		cmocka_unit_test(test_lost_cache),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
