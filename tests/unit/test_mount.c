/* What can be mounted where, as far as that can be seen without mounting. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "fs/mount.h"

static char top[64];

static int make_top(void **state)
{
	char path[128];

	(void)state;
	snprintf(top, sizeof(top), "/tmp/test_mount.XXXXXX");
	assert_non_null(mkdtemp(top));
	for (const char *const *name = (const char *const[]){"m", "m/in", "mm", "c", NULL}; *name;
	     name++) {
		snprintf(path, sizeof(path), "%s/%s", top, *name);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	snprintf(path, sizeof(path), "%s/link", top);
	assert_int_equal(symlink("m", path), 0);
	return 0;
}

static int remove_top(void **state)
{
	static const char *const names[] = {"link", "c", "mm", "m/in", "m", "."};
	char path[128];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", top, names[i]);
		(void)remove(strcmp(names[i], ".") ? path : top);
	}
	return 0;
}

static void test_apart(void **state)
{
	(void)state;
	static const struct {
		const char *mountpoint, *folder;
		int error;
	} cases[] = {
	    {"m", "c", 0},
	    {"m", "mm", 0},
	    {"m", "m", -ELOOP},
	    {"m", "m/", -ELOOP},
	    {"m", "m/in", -ELOOP},
	    {"m/in", "m", -ELOOP},
	    {"m", "m/not/yet/there", -ELOOP},
	    {"m", "not/yet/there", 0},
	    {"m", "link/in", -ELOOP},
	    {"m", "link/not/yet/there", -ELOOP},
	    {"link", "m/in", -ELOOP},
	    {"m", "c/../m", -ELOOP},
	};
	char mountpoint[128], folder[128];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf why = BUF_EMPTY;

		snprintf(mountpoint, sizeof(mountpoint), "%s/%s", top, cases[i].mountpoint);
		snprintf(folder, sizeof(folder), "%s/%s", top, cases[i].folder);
		int error = mount_check_apart(mountpoint, folder, "the cache folder", &why);
		if (error != cases[i].error)
			fail_msg("%s in %s: %d", folder, mountpoint, error);
		assert_int_equal(why.length != 0, error != 0);
		buf_destroy(&why);
	}
	struct buf why = BUF_EMPTY;
	assert_int_equal(mount_check_apart(mountpoint, "/", "the bucket's folder", &why), -ELOOP);
	assert_non_null(strstr(buf_string(&why), "the bucket's folder /"));
	buf_destroy(&why);
}

static void test_check(void **state)
{
	(void)state;
	static const struct {
		const char *path, *words;
		int error;
	} cases[] = {
	    {"/tmp", NULL, 0},
	    {"/no/such/folder", "no such folder", -ENOENT},
	    {"/proc/self/mountinfo", "not a folder", -ENOTDIR},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf why = BUF_EMPTY;

		assert_int_equal(mount_check(cases[i].path, "s3://nobody-has-this", &why),
				 cases[i].error);
		if (cases[i].words)
			assert_non_null(strstr(buf_string(&why), cases[i].words));
		buf_destroy(&why);
	}
}

static void test_not_ours(void **state)
{
	(void)state;
	struct buf where = BUF_EMPTY;

	assert_false(mount_find("s3://nobody-has-this", &where));
	assert_int_equal(where.length, 0);
	buf_destroy(&where);
	assert_int_equal(mount_device("/no/such/folder"), 0);
	assert_int_not_equal(mount_device("/"), 0);
	/* never unmounts what is not the mount that was made */
	assert_int_equal(mount_leave("/", mount_device("/proc"), MOUNT_LEAVE_LAZY), -EINVAL);
	assert_int_equal(mount_leave("/no/such/folder", 0, MOUNT_LEAVE_LAZY), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_apart, make_top, remove_top),
	    cmocka_unit_test(test_check),
	    cmocka_unit_test(test_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
