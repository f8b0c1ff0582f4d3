/* A damaged index: each kind of damage, and what must be found of what was not uploaded; and a rescue that is cut off at
 * each of its steps. Every cache is opened by a child, which a crash may end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cache/base/log.h"
#include "cache/index/ages.h"
#include "cache/index/internal.h"
#include "cache/index/names.h"
#include "cache/index/pending.h"
#include "cache/internal.h"

enum { FILLERS = 1200, BYTES = 1000, PAGE = 4096, EXIT_BAD = 9 };

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			_exit(EXIT_BAD);                                                           \
		}                                                                                  \
	} while (0)

/* -- crash points: the calls that change folders -- */

static int crash_at, crash_count; /* 0 = never */

static void crash_point(void)
{
	if (crash_at && ++crash_count == crash_at)
		kill(getpid(), SIGKILL);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	crash_point();
	return (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

int unlinkat(int fd, const char *name, int flags)
{
	crash_point();
	return (int)syscall(SYS_unlinkat, fd, name, flags);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	crash_point();
	return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

/* The process that reads the index dies at each so-manieth thing that it says; 0 = never. */
static int reader_dies_at;
static pid_t opener;

ssize_t write(int fd, const void *bytes, size_t length)
{
	static int said;
	if (reader_dies_at && opener && getpid() != opener && ++said == reader_dies_at)
		kill(getpid(), SIGKILL);
	return syscall(SYS_write, fd, bytes, length);
}

/* -- the place -- */

struct place {
	char base[64], cache[96], saved[96];
	struct cache_config config;
};

static int setup(void **state)
{
	struct buf why AUTO_BUF = BUF_EMPTY;
	struct place *p = calloc(1, sizeof(*p));
	char spec[128];
	snprintf(p->base, sizeof(p->base), "%s/tootfs-rescue-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	assert_non_null(mkdtemp(p->base));
	snprintf(p->cache, sizeof(p->cache), "%s/cache", p->base);
	snprintf(p->saved, sizeof(p->saved), "%s/saved", p->base);
	snprintf(spec, sizeof(spec), "file://%s/bucket", p->base);
	assert_int_equal(mkdir(spec + 7, 0700), 0);
	config_init(&p->config);
	assert_int_equal(config_spec(&p->config, spec), 0);
	assert_int_equal(config_set(&p->config, "cache", p->cache, &why), 0);
	assert_int_equal(config_finish(&p->config, &why), 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", p->base);
	assert_int_equal(system(command), 0);
	config_destroy(&p->config);
	free(p);
	return 0;
}

/* -- content: known by its first letters -- */

static void content_of(const char *name, char out[BYTES * 2])
{
	uint64_t seed = 88172645463325252u;
	for (const char *c = name; *c; c++)
		seed = seed * 31 + (unsigned char)*c;
	for (size_t i = 0; i < BYTES * 2; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		out[i] = (char)('a' + seed % 26);
	}
}

struct sample {
	const char *name; /* in the folder "dir", and of the content */
	uint32_t type;
	enum content content;
	uint64_t size, length; /* of the record, of the file; 0 = no blob */
	bool wish, orphan, missing;
	const char *home, *link; /* a second name */
};

static const struct sample samples[] = {
    {"dirty", S_IFREG, CONTENT_DIRTY, BYTES, BYTES, .wish = true},
    {"longer", S_IFREG, CONTENT_DIRTY, BYTES, BYTES + 500, .wish = true},
    {"short", S_IFREG, CONTENT_DIRTY, BYTES, BYTES - 400, .wish = true},
    {"missing", S_IFREG, CONTENT_DIRTY, BYTES, BYTES, .wish = true, .missing = true},
    {"empty", S_IFREG, CONTENT_DIRTY, 0, 0, .wish = true},
    {"linked", S_IFREG, CONTENT_DIRTY, BYTES, BYTES, .wish = true, .link = "linked2"},
    {"symlink", S_IFLNK, CONTENT_DIRTY, 20, 20, .wish = true},
    {"unsure", S_IFREG, CONTENT_CLEAN, BYTES, BYTES, .wish = true},
    {"moved", S_IFREG, CONTENT_CLEAN, BYTES, BYTES, .wish = true, .home = "dir/before"},
    {"clean", S_IFREG, CONTENT_CLEAN, BYTES, BYTES, .wish = false},
    {"partial", S_IFREG, CONTENT_REMOTE, BYTES * 4, BYTES, .wish = false},
    {"orphan", S_IFREG, CONTENT_DIRTY, BYTES, BYTES, .orphan = true},
};
enum { SAMPLES = sizeof(samples) / sizeof(samples[0]) };

/* -- making -- */

static void put_blob(struct cache *cache, const char *name, uint64_t id, uint64_t length)
{
	char bytes[BYTES * 2];
	int fd;
	content_of(name, bytes);
	MUST(blob_create(cache->flow.blobs, id, &fd) == 0);
	MUST(blob_write(fd, 0, bytes, length) == 0);
	close(fd);
}

static void put_wish(struct txn *txn, const char *name, const struct node_record *r)
{
	struct pending_record wish = {.want = r ? PENDING_PUT : PENDING_ABSENT};
	snprintf(wish.key, sizeof(wish.key), "dir/%s", name);
	if (r) {
		wish.ino = r->ino;
		wish.version = r->version;
	}
	MUST(pending_put(txn, &wish) == 0);
}

static void put_sample(struct cache *cache, struct txn *txn, uint64_t parent, const struct sample *s)
{
	struct node_record r = {.ino = txn_new_ino(txn), .parent = parent, .mode = s->type | 0640, .uid = 0,
				.nlink = s->orphan ? 0 : s->link ? 2 : 1, .size = s->size, .content = s->content,
				.version = 3, .mtime_ns = INT64_C(1500000000123456789),
				.flags = s->orphan ? NODE_ORPHAN : 0};
	snprintf(r.name, sizeof(r.name), "%s", s->name);
	if (s->home)
		strcpy(r.home, s->home);
	if (s->length) {
		r.blob = txn_new_blob(txn);
		if (!s->missing)
			put_blob(cache, s->name, r.blob, s->length);
		MUST(ages_touch(txn, r.ino, r.blob, PAGE) == 0);
	}
	MUST(nodes_put(txn, &r) == 0);
	if (s->orphan)
		MUST(orphans_add(txn, r.ino) == 0);
	else
		MUST(names_put(txn, parent, r.name, false, r.ino, 0) == 0);
	if (s->link) {
		MUST(links_add(txn, r.ino, parent, s->link) == 0);
		MUST(names_put(txn, parent, s->link, false, r.ino, txn_new_ino(txn)) == 0);
		put_wish(txn, s->link, &r);
	}
	if (s->wish)
		put_wish(txn, s->name, &r);
}

static void put_all(struct cache *cache, struct txn *txn)
{
	struct upload_record upload = {.blob = 4711, .key = "dir/dirty", .id = "the-upload"};
	struct node_record folder = {.ino = txn_new_ino(txn), .parent = INO_ROOT, .mode = S_IFDIR | 0755, .nlink = 2,
				     .name = "dir"};
	uint64_t nameless = txn_new_blob(txn);
	MUST(nodes_put(txn, &folder) == 0 && names_put(txn, INO_ROOT, "dir", true, folder.ino, 0) == 0);
	for (int i = 0; i < FILLERS; i++) {
		struct node_record r = {.ino = txn_new_ino(txn), .parent = folder.ino, .mode = S_IFREG | 0644,
					.nlink = 1, .size = 5, .version = 1};
		snprintf(r.name, sizeof(r.name), "filler-with-a-long-name-%d", i);
		snprintf(r.etag, sizeof(r.etag), "etag%d", i);
		MUST(nodes_put(txn, &r) == 0 && names_put(txn, folder.ino, r.name, false, r.ino, 0) == 0);
		if (i % (FILLERS / SAMPLES) == 0 && i / (FILLERS / SAMPLES) < SAMPLES)
			put_sample(cache, txn, folder.ino, &samples[i / (FILLERS / SAMPLES)]);
	}
	put_blob(cache, "nameless", nameless, BYTES);
	put_wish(txn, "removed", NULL);
	MUST(uploads_put(txn, &upload) == 0);
}

static void checkpoint(struct index *index)
{
	struct index_checkpoint *c;
	MUST(index_checkpoint_begin(index, &c) == 0);
	MUST(index_checkpoint_commit(&c) == 0);
}

static int open_it(struct place *p, struct cache **out, struct buf *why)
{
	return cache_open(&p->config, out, why);
}

static void make(struct place *p)
{
	struct buf why AUTO_BUF = BUF_EMPTY;
	struct cache *cache;
	struct txn *txn;
	if (fork() == 0) {
		MUST(open_it(p, &cache, &why) == 0);
		checkpoint(cache->flow.index);
		MUST(txn_begin_write(cache->flow.index, &txn) == 0);
		put_all(cache, txn);
		MUST(txn_commit(&txn) == 0);
		checkpoint(cache->flow.index);
		MUST(txn_begin_write(cache->flow.index, &txn) == 0); /* behind the last checkpoint */
		MUST(meta_put(txn, "late", "1", 1) == 0 && txn_commit(&txn) == 0);
		kill(getpid(), SIGKILL);
	}
	int status;
	assert_true(wait(&status) > 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* -- damages -- */

static int open_file(const struct place *p, const char *name)
{
	char path[200];
	snprintf(path, sizeof(path), "%s/%s", p->cache, name);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void overwrite(const struct place *p, const char *name, off_t at, size_t length, int byte)
{
	char *bytes = malloc(length);
	for (size_t i = 0; i < length; i++)
		bytes[i] = (char)(byte < 0 ? random() : byte);
	int fd = open_file(p, name);
	assert_int_equal(pwrite(fd, bytes, length, at), length);
	close(fd);
	free(bytes);
}

static void drop(const struct place *p, const char *name)
{
	char path[200];
	snprintf(path, sizeof(path), "%s/%s", p->cache, name);
	assert_int_equal(unlink(path), 0);
}

static off_t index_bytes(const struct place *p)
{
	struct stat st;
	int fd = open_file(p, "index.mdb");
	assert_int_equal(fstat(fd, &st), 0);
	close(fd);
	return st.st_size;
}

/* All pages that hold this text. */
static void spoil_pages_with(const struct place *p, const char *text, int byte)
{
	char page[PAGE];
	int fd = open_file(p, "index.mdb");
	off_t size = index_bytes(p);
	unsigned spoilt = 0;
	for (off_t at = 2 * PAGE; at < size; at += PAGE) {
		if (pread(fd, page, PAGE, at) == PAGE && memmem(page, PAGE, text, strlen(text))) {
			overwrite(p, "index.mdb", at, PAGE, byte);
			spoilt++;
		}
	}
	close(fd);
	assert_true(spoilt > 0);
}

static void steady_zeroed(const struct place *p) { overwrite(p, "steady", 0, 100, 0); }
static void steady_garbage(const struct place *p) { overwrite(p, "steady", 300, 50, -1); }
static void steady_gone(const struct place *p) { drop(p, "steady"); }
static void both_steady_gone(const struct place *p) { drop(p, "steady"), drop(p, "steady.old"); }
static void metas_garbage(const struct place *p) { overwrite(p, "index.mdb", 0, 2 * PAGE, -1); }
static void leaf_garbage(const struct place *p) { spoil_pages_with(p, "filler-with-a-long-name-300", -1); }
static void leaf_zeroed(const struct place *p) { spoil_pages_with(p, "filler-with-a-long-name-300", 0); }
static void main_zeroed(const struct place *p) { spoil_pages_with(p, "pending", 0); }
static void wishes_garbage(const struct place *p) { spoil_pages_with(p, "dir/linked2", -1); }
static void wishes_and_leaf(const struct place *p) { wishes_garbage(p), leaf_garbage(p); }
static void damage_noted(const struct place *p)
{
	char path[200];
	snprintf(path, sizeof(path), "%s/index.damaged", p->cache);
	close(creat(path, 0600));
}
static void index_gone(const struct place *p) { drop(p, "index.mdb"); }
static void all_gone(const struct place *p) { drop(p, "index.mdb"), drop(p, "steady"), drop(p, "steady.old"); }
static void index_cut(const struct place *p)
{
	int fd = open_file(p, "index.mdb");
	assert_int_equal(ftruncate(fd, index_bytes(p) / PAGE * 3 / 4 * PAGE), 0);
	close(fd);
}
static void index_emptied(const struct place *p)
{
	int fd = open_file(p, "index.mdb");
	assert_int_equal(ftruncate(fd, 0), 0);
	close(fd);
}

/* -- what is found -- */

struct search {
	const char *name;
	size_t length;
	unsigned hits;
};
static struct search search;

static int look(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char want[BYTES * 2], got[BYTES * 2] = "";
	(void)ftw;
	if (type == FTW_SL)
		return readlink(path, got, sizeof(got)) == (ssize_t)search.length &&
				       (content_of(search.name, want), !memcmp(got, want, search.length))
			   ? (search.hits++, 0)
			   : 0;
	if (type != FTW_F || (size_t)st->st_size < search.length)
		return 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	content_of(search.name, want);
	if (pread(fd, got, search.length, 0) == (ssize_t)search.length && !memcmp(got, want, search.length))
		search.hits++;
	close(fd);
	return 0;
}

static unsigned found(const struct place *p, const char *name, size_t length)
{
	static const char *const folders[] = {"files", "blobs"};
	char path[200];
	search = (struct search){name, length, 0};
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/lost+found/%s", p->cache, folders[i]);
		nftw(path, look, 8, FTW_PHYS);
	}
	return search.hits;
}

static long long size_of(const struct place *p, const char *name)
{
	char path[300];
	struct stat st;
	snprintf(path, sizeof(path), "%s/lost+found/files/dir/%s", p->cache, name);
	return lstat(path, &st) ? -1 : (long long)st.st_size;
}

static bool list_says(const struct place *p, const char *what)
{
	char path[200], text[65536];
	snprintf(path, sizeof(path), "%s/lost+found/README", p->cache);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return strstr(text, what) != NULL;
}

static void expect_bytes(const struct place *p)
{
	for (int i = 0; i < SAMPLES; i++) {
		const struct sample *s = &samples[i];
		bool unsent = s->content == CONTENT_DIRTY && !s->missing && !s->orphan;
		size_t length = s->length < s->size ? s->length : s->size;
		if (unsent && length && found(p, s->name, length) == 0)
			fail_msg("nothing of %s was kept", s->name);
	}
}

static void expect_names(const struct place *p, bool newest)
{
	assert_int_equal(size_of(p, "dirty"), BYTES);
	assert_int_equal(size_of(p, "longer"), newest ? BYTES : BYTES + 500);
	assert_int_equal(size_of(p, "short"), BYTES - 400);
	assert_int_equal(size_of(p, "missing"), -1);
	assert_int_equal(size_of(p, "empty"), 0);
	assert_int_equal(size_of(p, "linked"), BYTES);
	assert_int_equal(size_of(p, "linked2"), BYTES);
	assert_int_equal(size_of(p, "symlink"), 20);
	assert_int_equal(size_of(p, "unsure"), BYTES);
	assert_int_equal(size_of(p, "clean"), -1);
	assert_int_equal(size_of(p, "partial"), -1);
	assert_int_equal(size_of(p, "moved"), -1);
	assert_int_equal(found(p, "clean", BYTES), 0);
	assert_int_equal(found(p, "moved", BYTES), 0);
	assert_int_equal(found(p, "orphan", BYTES), newest ? 0 : 1);
	assert_int_equal(found(p, "nameless", BYTES), 1);
	assert_true(list_says(p, "kept\tdir/dirty\tfiles/dir/dirty"));
	assert_true(list_says(p, "LOST\tdir/missing"));
	assert_true(list_says(p, "removal not sent\tdir/removed"));
	assert_true(list_says(p, "dir/moved\tdir/before"));
	assert_true(list_says(p, "aborted\tdir/dirty\tthe-upload"));
	assert_true(list_says(p, "600 of 1000 bytes"));
}

/* -- opening -- */

static int count_upload(void *arg, const struct upload_record *record)
{
	if (!strcmp(record->id, "the-upload") && !strcmp(record->key, "dir/dirty"))
		++*(unsigned *)arg;
	return 0;
}

/* 0 and it is a new, empty index (fresh) or the old one; or the error. */
static int open_in_child(struct place *p, bool *fresh, unsigned *uploads)
{
	int fds[2], status;
	struct answer {
		int error;
		bool fresh;
		unsigned uploads;
	} answer = {.error = 0};
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct buf why AUTO_BUF = BUF_EMPTY;
		struct index_totals totals;
		struct cache *cache;
		struct txn *txn;
		opener = getpid();
		answer.error = open_it(p, &cache, &why);
		MUST(answer.error == 0 || why.length > 0);
		if (answer.error == 0) {
			MUST(txn_begin_read(cache->flow.index, &txn) == 0);
			MUST(index_totals(txn, &totals) == 0);
			MUST(uploads_each(txn, count_upload, &answer.uploads) == 0);
			txn_abort(&txn);
			answer.fresh = totals.files == 0 && totals.pending == 0;
			cache_stop(cache);
			cache_close(&cache);
		}
		MUST(write(fds[1], &answer, sizeof(answer)) == sizeof(answer));
		_exit(0);
	}
	close(fds[1]);
	bool said = read(fds[0], &answer, sizeof(answer)) == sizeof(answer);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return -EINTR;
	assert_true(said && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	*fresh = answer.fresh;
	*uploads = answer.uploads;
	return answer.error;
}

static void copy_folder(const char *from, const char *to)
{
	char command[512];
	snprintf(command, sizeof(command), "rm -rf %s && cp -a %s %s", to, from, to);
	assert_int_equal(system(command), 0);
}

static bool has_lost_found(const struct place *p)
{
	char path[200];
	snprintf(path, sizeof(path), "%s/lost+found", p->cache);
	return access(path, F_OK) == 0;
}

/* -- the tests -- */

enum { BYTES_ONLY, AROUND, NAMES, NAMES_NEWEST };

static void test_damages(void **state)
{
	static const struct {
		const char *name;
		void (*damage)(const struct place *p);
		int expect;
		bool uploads; /* can be read */
	} rows[] = {
	    {"steady zeroed", steady_zeroed, NAMES_NEWEST, true},
	    {"steady garbage", steady_garbage, NAMES_NEWEST, true},
	    {"steady gone", steady_gone, NAMES_NEWEST, true},
	    {"noted while it was in use", damage_noted, NAMES_NEWEST, true},
	    {"both steady gone", both_steady_gone, NAMES, true},
	    {"meta pages garbage", metas_garbage, NAMES, true},
	    {"leaf garbage", leaf_garbage, AROUND, true},
	    {"leaf zeroed", leaf_zeroed, AROUND, true},
	    {"main zeroed", main_zeroed, BYTES_ONLY, false},
	    {"wishes garbage", wishes_garbage, BYTES_ONLY, true},
	    {"wishes and a leaf garbage", wishes_and_leaf, AROUND, true},
	    {"index gone", index_gone, BYTES_ONLY, false},
	    {"index and steady gone", all_gone, BYTES_ONLY, false},
	    {"index cut", index_cut, BYTES_ONLY, false},
	    {"index emptied", index_emptied, BYTES_ONLY, false},
	};
	struct place *p = *state;
	make(p);
	copy_folder(p->cache, p->saved);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool fresh = false;
		unsigned uploads = 0;
		print_message("%s\n", rows[i].name);
		copy_folder(p->saved, p->cache);
		rows[i].damage(p);
		assert_int_equal(open_in_child(p, &fresh, &uploads), 0);
		assert_true(fresh);
		expect_bytes(p);
		if (rows[i].expect == AROUND) { /* before and behind the page */
			assert_int_equal(size_of(p, "dirty"), BYTES);
			assert_int_equal(size_of(p, "linked"), BYTES);
		} else if (rows[i].expect != BYTES_ONLY)
			expect_names(p, rows[i].expect == NAMES_NEWEST);
		if (rows[i].uploads)
			assert_int_equal(uploads, 1);
		/* the next start is an ordinary one */
		assert_int_equal(open_in_child(p, &fresh, &uploads), 0);
		assert_true(fresh);
	}
}

/* The process that reads crashes again and again: another one goes on behind what was said. */
static void test_reader_crashes(void **state)
{
	struct place *p = *state;
	bool fresh;
	unsigned uploads;
	make(p);
	steady_gone(p);
	reader_dies_at = 5;
	int error = open_in_child(p, &fresh, &uploads);
	reader_dies_at = 0;
	assert_int_equal(error, 0);
	assert_true(fresh && uploads == 1);
	expect_names(p, true);
	assert_true(list_says(p, "could be read in parts only"));
}

/* Rot that came after a clean stop. */
static void test_rot_after_clean_stop(void **state)
{
	struct place *p = *state;
	bool fresh;
	unsigned uploads;
	make(p);
	assert_int_equal(open_in_child(p, &fresh, &uploads), 0);
	assert_false(fresh);
	main_zeroed(p);
	assert_int_equal(open_in_child(p, &fresh, &uploads), 0);
	assert_true(fresh);
	expect_bytes(p);
}

/* One page, anywhere: it is noticed, or it was one that nobody needs. */
static void test_any_page(void **state)
{
	struct place *p = *state;
	unsigned rescued = 0;
	make(p);
	copy_folder(p->cache, p->saved);
	srandom(4711);
	for (int round = 0; round < 40; round++) {
		bool fresh = false;
		unsigned uploads = 0;
		copy_folder(p->saved, p->cache);
		off_t page = 2 + random() % (index_bytes(p) / PAGE - 2);
		overwrite(p, "index.mdb", page * PAGE, PAGE, round % 3 == 0 ? 0 : -1);
		assert_int_equal(open_in_child(p, &fresh, &uploads), 0);
		assert_int_equal(fresh, has_lost_found(p));
		rescued += fresh;
		if (fresh)
			expect_bytes(p);
	}
	print_message("%u of 40 pages were needed\n", rescued);
	assert_true(rescued > 5);
}

static void write_byte(const struct place *p, const char *file, off_t at, char byte)
{
	int fd = open_file(p, file);
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

/* Not damage, or not ours to mend: nothing is touched. */
static void test_refusals(void **state)
{
	struct place *p = *state;
	char other[128];
	bool fresh;
	unsigned uploads;
	make(p);
	copy_folder(p->cache, p->saved);

	write_byte(p, "steady", 16, 2); /* a newer format */
	assert_int_equal(open_in_child(p, &fresh, &uploads), -EPROTO);
	assert_false(has_lost_found(p));

	copy_folder(p->saved, p->cache); /* another version of LMDB */
	write_byte(p, "index.mdb", 20, 2);
	drop(p, "steady");
	assert_int_equal(open_in_child(p, &fresh, &uploads), -EPROTO);
	assert_false(has_lost_found(p));

	copy_folder(p->saved, p->cache); /* ro only looks */
	steady_gone(p);
	p->config.ro = true;
	assert_int_equal(open_in_child(p, &fresh, &uploads), -EUCLEAN);
	p->config.ro = false;
	assert_false(has_lost_found(p));

	snprintf(other, sizeof(other), "file://%s/other", p->base); /* another bucket's, and damaged */
	assert_int_equal(mkdir(other + 7, 0700), 0);
	config_destroy(&p->config);
	config_init(&p->config);
	struct buf why AUTO_BUF = BUF_EMPTY;
	assert_int_equal(config_spec(&p->config, other), 0);
	assert_int_equal(config_set(&p->config, "cache", p->cache, &why), 0);
	assert_int_equal(config_finish(&p->config, &why), 0);
	assert_int_equal(open_in_child(p, &fresh, &uploads), -EMEDIUMTYPE);
	assert_false(has_lost_found(p));
}

static void test_cut_off_anywhere(void **state)
{
	struct place *p = *state;
	int at = 0, error;
	bool fresh;
	unsigned uploads;
	make(p);
	steady_gone(p);
	copy_folder(p->cache, p->saved);
	do {
		copy_folder(p->saved, p->cache);
		crash_at = ++at;
		error = open_in_child(p, &fresh, &uploads);
		crash_at = 0;
		if (error == -EINTR)
			assert_int_equal(open_in_child(p, &fresh, &uploads), 0);
		else
			assert_int_equal(error, 0);
		if (!fresh || uploads != 1)
			fail_msg("after a crash at step %d: fresh=%d uploads=%u", at, fresh, uploads);
		expect_names(p, true);
		expect_bytes(p);
	} while (error == -EINTR && at < 500);
	print_message("cut off at %d steps\n", at - 1);
	assert_true(at > 20 && at < 500);
}

/* What was rescued before stays, and a second rescue finds other places. */
static void test_twice(void **state)
{
	struct place *p = *state;
	char path[400];
	bool fresh;
	unsigned uploads;
	make(p);
	steady_gone(p);
	copy_folder(p->cache, p->saved);
	assert_int_equal(open_in_child(p, &fresh, &uploads), 0);
	snprintf(path, sizeof(path), "rm -rf %s/lost+found && mv %s/lost+found %s", p->saved, p->cache, p->saved);
	assert_int_equal(system(path), 0);
	copy_folder(p->saved, p->cache);
	assert_int_equal(open_in_child(p, &fresh, &uploads), 0);
	assert_int_equal(found(p, "dirty", BYTES), 2);
	assert_int_equal(size_of(p, "dirty~2~"), BYTES);
	snprintf(path, sizeof(path), "%s/lost+found/README-2", p->cache);
	assert_int_equal(access(path, F_OK), 0);
}

int main(void)
{
	const struct log_config log = {.level = LOG_LEVEL_ERROR, .sink = LOG_SINK_SYSLOG};
	log_setup(&log);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_damages), TEST(test_reader_crashes), TEST(test_rot_after_clean_stop), TEST(test_any_page), TEST(test_refusals), TEST(test_cut_off_anywhere),
	    TEST(test_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
