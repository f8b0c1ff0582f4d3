/* Paths from a damaged index: whatever they are, nothing leaves lost+found, and nothing that is there is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cache/rescue_place.h"

static char folder[64];
static struct places places;

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "%s/tootfs-place-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(blobs_open(folder, &places.blobs), 0);
	places.uid = geteuid();
	places.gid = getegid();
	return places_open(&places, folder);
}

static int teardown(void **state)
{
	char command[128];
	(void)state;
	places_close(&places);
	blobs_close(&places.blobs);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static struct node_record a_file(uint64_t blob)
{
	int fd;
	struct node_record r = {.blob = blob, .size = 1, .mode = S_IFREG | 0644, .uid = geteuid(), .gid = getegid(),
				.mtime_ns = INT64_C(-1500000000)};
	assert_int_equal(blob_create(places.blobs, blob, &fd), 0);
	close(fd);
	return r;
}

static void paths(void **state)
{
	static char long_name[600];
	static const struct {
		const char *path, *where; /* NULL: below files/ and no longer than a name may be */
	} rows[] = {
	    {"a/b", "files/a/b"},
	    {"a/b", "files/a/b~2~"},
	    {"a/b/c", "files/a/b~3~/c"}, /* a file is where the folder should be */
	    {"../../x", "files/%../%../x"},
	    {"..", "files/%..~2~"}, /* a folder is where the file should be */
	    {"", "files/%"},
	    {"/abs//olute", "files/%~2~/abs/%/olute"},
	    {"./y", "files/%./y"},
	    {"out/z", "files/out~2~/z"}, /* a link to elsewhere is in the way */
	    {long_name, NULL},
	};
	(void)state;
	memset(long_name, 'n', sizeof(long_name) - 1);
	memcpy(long_name + 300, "/", 1);
	assert_int_equal(symlinkat("/", places.files, "out"), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf where AUTO_BUF = BUF_EMPTY, again AUTO_BUF = BUF_EMPTY;
		const struct node_record r = a_file(i + 1);
		struct stat st;
		assert_int_equal(place_file(&places, rows[i].path, &r, NULL, &where), 0);
		if (rows[i].where)
			assert_string_equal(buf_string(&where), rows[i].where);
		assert_int_equal(strncmp(buf_string(&where), "files/", 6), 0);
		assert_int_equal(fstatat(places.lost, buf_string(&where), &st, AT_SYMLINK_NOFOLLOW), 0);
		assert_true(S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0600 && st.st_nlink == 2);
		assert_int_equal(st.st_mtim.tv_sec, -2);
		assert_int_equal(st.st_mtim.tv_nsec, 500000000);
		/* done twice it is the same place */
		assert_int_equal(place_file(&places, rows[i].path, &r, NULL, &again), 0);
		assert_string_equal(buf_string(&again), buf_string(&where));
	}
	assert_int_equal(access("/z", F_OK), -1);
}

static void nameless(void **state)
{
	struct buf where AUTO_BUF = BUF_EMPTY;
	(void)state;
	a_file(77);
	assert_int_equal(place_nameless(&places, 77, &where), 0);
	assert_string_equal(buf_string(&where), "blobs/77");
	assert_int_equal(place_nameless(&places, 77, &where), 0);
	assert_string_equal(buf_string(&where), "blobs/77");
	assert_int_equal(place_nameless(&places, 78, &where), -ENOENT);
}

static void links_and_empty_ones(void **state)
{
	struct buf where AUTO_BUF = BUF_EMPTY;
	struct node_record r = {.mode = S_IFREG | 0644, .uid = geteuid(), .gid = getegid()};
	char target[64] = "";
	(void)state;
	assert_int_equal(place_file(&places, "e/empty", &r, NULL, &where), 0);
	assert_string_equal(buf_string(&where), "files/e/empty");
	assert_int_equal(place_file(&places, "e/empty", &r, NULL, &where), 0);
	assert_string_equal(buf_string(&where), "files/e/empty");
	r = a_file(5);
	assert_int_equal(place_file(&places, "e/link", &r, "/etc/passwd", &where), 0);
	assert_int_equal(place_file(&places, "e/link", &r, "/etc/passwd", &where), 0);
	assert_string_equal(buf_string(&where), "files/e/link");
	assert_int_equal(readlinkat(places.lost, "files/e/link", target, sizeof(target) - 1), 11);
	assert_string_equal(target, "/etc/passwd");
	assert_int_equal(place_file(&places, "e/link", &r, "/other", &where), 0);
	assert_string_equal(buf_string(&where), "files/e/link~2~");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(paths), TEST(nameless), TEST(links_and_empty_ones)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
