/* Power cuts. Every write to index.mdb and every sync is recorded while random transactions and
 * checkpoints run, also transactions in the middle of a checkpoint's commit. At many instants the
 * disk is made up as a power cut may leave it: the file as of the last sync, each 512-byte sector
 * either so or as any later state had it; `steady` before or after its rename while that is not
 * durable. Each such image is opened after a pretended reboot and must have exactly the content of
 * the checkpoint that its steady names; half of the time the power is cut again while it is being
 * recovered. Without the pinned snapshot the same run must fail (no_pin), or it would prove
 * nothing. */
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "cache/base/sanitizers.h"
#include "index_changes.h"

enum { SECTOR = 512, VERSIONS_MAX = 24, STEADIES_MAX = 64 };

/* Slow under the thread sanitizer. */
#ifdef THREAD_SANITIZER
/* The children open an index, which starts a thread. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "die_after_fork=0";
}

enum { PERIODS = 9, IMAGES_MIN = 30 };
#else
enum { PERIODS = 48, IMAGES_MIN = 200 };
#endif

struct version {
	uint8_t *bytes; /* kept for the next one */
	size_t size, space;
};

/* What may be on the disk. */
static struct disk {
	bool active;
	char folder[64];     /* of the index that is recorded */
	char image[64];	     /* where images are made */
	struct version base; /* index.mdb at its last sync */
	struct version later[VERSIONS_MAX];
	size_t later_count;
	uint8_t steady[2][STEADY_BYTES]; /* the durable one, and the one that replaces it */
	bool has_steady, renamed;
	/* what must come out: by transaction of the steady */
	struct {
		uint64_t txn, content;
	} expected[STEADIES_MAX];
	size_t expected_count;
	struct index *index;
	bool no_pin, recovering;
	unsigned images, wrong, chance;
} disk;

/* -- recording -- */

static void read_version(struct version *v)
{
	char path[100];
	struct stat st;
	snprintf(path, sizeof(path), "%s/index.mdb", disk.folder);
	int fd = open(path, O_RDONLY);
	REQUIRE(fd >= 0 && fstat(fd, &st) == 0);
	v->size = (size_t)st.st_size;
	if (v->space < v->size) {
		v->space = 2 * v->size;
		v->bytes = realloc(v->bytes, v->space);
	}
	REQUIRE(v->bytes && read(fd, v->bytes, v->size) == st.st_size);
	close(fd);
}

static void read_steady(uint8_t out[STEADY_BYTES])
{
	char path[100];
	snprintf(path, sizeof(path), "%s/steady", disk.folder);
	int fd = open(path, O_RDONLY);
	REQUIRE(fd >= 0 && read(fd, out, STEADY_BYTES) == STEADY_BYTES);
	close(fd);
}

static void capture(void)
{
	size_t i = disk.later_count < VERSIONS_MAX ? disk.later_count++ : draw(VERSIONS_MAX);
	read_version(&disk.later[i]);
}

static void now_durable(void)
{
	read_version(&disk.base);
	disk.later_count = 0;
}

static void expect(uint64_t txn, uint64_t content)
{
	size_t i = disk.expected_count++ % STEADIES_MAX;
	disk.expected[i].txn = txn;
	disk.expected[i].content = content;
}

/* -- making an image and opening it -- */

static void write_file(const char *name, const void *bytes, size_t length)
{
	char path[100];
	snprintf(path, sizeof(path), "%s/%s", disk.image, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	REQUIRE(fd >= 0 && write(fd, bytes, length) == (ssize_t)length);
	close(fd);
}

static void copy_sector(uint8_t *image, size_t at, const struct version *from)
{
	size_t length = at < from->size ? from->size - at : 0;
	memset(image + at, 0, SECTOR);
	memcpy(image + at, from->bytes + (length ? at : 0), length < SECTOR ? length : SECTOR);
}

static uint64_t make_image(void)
{
	static const unsigned chances[] = {0, 10, 50, 90, 100};
	unsigned keep = chances[draw(5)]; /* percent of the sectors that are as of the last sync */
	size_t size = disk.base.size;
	if (disk.later_count > 0)
		size = disk.later[draw(disk.later_count)].size;
	uint8_t *image = malloc(size);
	REQUIRE(image && size % SECTOR == 0 && size >= disk.base.size);
	for (size_t at = 0; at < size; at += SECTOR) {
		bool old = disk.later_count == 0 || draw(100) < keep;
		copy_sector(image, at, old ? &disk.base : &disk.later[draw(disk.later_count)]);
	}
	write_file("index.mdb", image, size);
	free(image);
	const uint8_t *steady = disk.steady[disk.renamed && draw(2)];
	write_file("steady", steady, STEADY_BYTES);
	struct steady decoded;
	REQUIRE(steady_decode(&decoded, steady, STEADY_BYTES) == 0);
	return decoded.txn;
}

static uint64_t expected_content(uint64_t txn)
{
	for (size_t i = 0; i < STEADIES_MAX; i++)
		if (disk.expected[i].txn == txn)
			return disk.expected[i].content;
	REQUIRE(!"a steady of no checkpoint");
	return 0;
}

/* In a process of its own: it may crash (no_pin). */
static void open_image(uint64_t content, bool cut_again)
{
	struct fixture f = {.why = BUF_EMPTY};
	struct txn *txn;
	snprintf(f.folder, sizeof(f.folder), "%s", disk.image);
	disk.wrong = 0;
	if (cut_again) { /* what is on the image is now what is durable; a second image is made
			    beside it */
		snprintf(disk.folder, sizeof(disk.folder), "%s", disk.image);
		snprintf(disk.image, sizeof(disk.image), "%.60s.2", disk.folder);
		REQUIRE(mkdir(disk.image, 0700) == 0 || errno == EEXIST);
		now_durable();
		read_steady(disk.steady[0]);
		disk.renamed = false;
		disk.recovering = true;
		disk.chance = 5;
		for (size_t i = 0; i < STEADIES_MAX;
		     i++) /* each checkpoint of the recovery has that content too */
			disk.expected[i].content = content;
	} else {
		disk.active = false;
	}
	REQUIRE(fixture_try(&f, cut_again ? "boot-2" : "boot-3", "file:///bucket", false) == 0);
	disk.active = false;
	REQUIRE(disk.wrong == 0);
	REQUIRE(f.start == INDEX_POWER_CUT);
	REQUIRE(content_of(f.index) == content);
	REQUIRE(index_covered(f.index) == index_newest(f.index));
	check_pages(f.index);
	REQUIRE(txn_begin_write(f.index, &txn) == 0);
	REQUIRE(txn_new_ino(txn) > changes_ino);
	txn_abort(&txn);
	/* and it works on */
	for (int i = 0; i < 10; i++)
		change(f.index);
	struct index_checkpoint *checkpoint;
	REQUIRE(index_checkpoint_begin(f.index, &checkpoint) == 0);
	REQUIRE(index_checkpoint_commit(&checkpoint) == 0);
	for (int i = 0; i < 10; i++)
		change(f.index);
	check_pages(f.index);
	uint64_t newest = content_of(f.index);
	index_close(&f.index);
	REQUIRE(fixture_try(&f, cut_again ? "boot-2" : "boot-3", "file:///bucket", false) == 0);
	REQUIRE(f.start == INDEX_KILLED && content_of(f.index) == newest);
	index_close(&f.index);
	buf_destroy(&f.why);
	_exit(0);
}

static void cut_power(void)
{
	int status;
	uint64_t content;
	fflush(NULL);
	uint64_t txn = make_image();
	content = disk.recovering ? disk.expected[0].content : expected_content(txn);
	pid_t child = fork();
	REQUIRE(child >= 0);
	if (child == 0) {
		fixture_seed += disk.images * 977 + 1;
		alarm(60);
		static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
		for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
			signal(fatal[i], SIG_DFL); /* cmocka's would go on with the tests here */
		if (disk.no_pin) {
			int null = open("/dev/null", O_WRONLY);
			dup2(null, 2);
		}
		open_image(content, !disk.recovering && !disk.no_pin && disk.images % 2);
	}
	REQUIRE(waitpid(child, &status, 0) == child);
	disk.images++;
	disk.wrong += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static void maybe_cut_power(void)
{
	if (draw(disk.chance) == 0)
		cut_power();
}

/* Other threads' transactions, in between. */
static void interleave(void)
{
	if (disk.recovering) {
		maybe_cut_power();
		return;
	}
	bool active = disk.active;
	disk.active = false;
	for (uint64_t n = draw(4); n > 0; n--) {
		change(disk.index);
		flush(disk.index);
		capture();
	}
	disk.active = active;
	maybe_cut_power();
}

/* These stand before libc's. */
int fdatasync(int fd)
{
	if (disk.active) {
		capture();
		interleave();
		now_durable();
	}
	int rc = (int)syscall(SYS_fdatasync, fd);
	if (disk.active)
		interleave();
	return rc;
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	int rc = (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
	if (disk.active && rc == 0) {
		read_steady(disk.steady[1]);
		disk.renamed = true;
		interleave();
	}
	return rc;
}

int fsync(int fd)
{
	struct stat st;
	bool folder = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
	int rc = (int)syscall(SYS_fsync, fd);
	if (disk.active && folder) {
		interleave(); /* not yet returned: either may be there */
		if (disk.renamed)
			memcpy(disk.steady[0], disk.steady[1], STEADY_BYTES);
		disk.renamed = false;
		interleave();
	}
	return rc;
}

/* -- the run -- */

static void drop_pin(void)
{
	if (disk.no_pin && disk.index->pin)
		mdb_txn_reset(disk.index->pin);
}

static void one_period(void)
{
	struct index_checkpoint *checkpoint;
	for (uint64_t n = 3 + draw(12); n > 0; n--) {
		change(disk.index);
		if (disk.no_pin || draw(4) > 0)
			flush(disk.index);
		capture();
		maybe_cut_power();
	}
	uint64_t content = content_of(disk.index);
	assert_int_equal(index_checkpoint_begin(disk.index, &checkpoint), 0);
	expect(index_checkpoint_txn(checkpoint), content);
	for (uint64_t n = draw(5); n > 0; n--) {
		change(disk.index);
		flush(disk.index);
		capture();
		maybe_cut_power();
	}
	disk.active = true;
	assert_int_equal(index_checkpoint_commit(&checkpoint), 0);
	disk.active = false;
	drop_pin();
}

static void run(struct fixture *f, bool no_pin, unsigned chance, int periods)
{
	memset(&disk, 0, sizeof(disk));
	snprintf(disk.folder, sizeof(disk.folder), "%s", f->folder);
	fixture_folder(disk.image);
	char image[64], second[70];
	snprintf(image, sizeof(image), "%s", disk.image);
	snprintf(second, sizeof(second), "%s.2", image);
	disk.index = f->index;
	disk.no_pin = no_pin;
	disk.chance = chance;
	now_durable();
	read_steady(disk.steady[0]);
	expect(index_covered(f->index), content_of(f->index));
	drop_pin();
	for (int i = 0; i < periods; i++)
		one_period();
	check_pages(f->index);
	for (int i = 0; i < VERSIONS_MAX; i++)
		free(disk.later[i].bytes);
	free(disk.base.bytes);
	fixture_remove(image);
	fixture_remove(second);
	print_message("%u images, %u wrong\n", disk.images, disk.wrong);
}

static void power_cuts(void **state)
{
	run(*state, false, 3, PERIODS);
	assert_true(disk.images >= IMAGES_MIN);
	assert_int_equal(disk.wrong, 0);
}

static void no_pin(void **state)
{
	run(*state, true, PERIODS > 20 ? 8 : 2, PERIODS > 20 ? 16 : PERIODS);
	assert_true(disk.images >= 20);
	assert_true(disk.wrong > disk.images / 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {TEST(power_cuts), TEST(no_pin)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
