/* The command line: by hand, and as mount(8) makes it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "fs/options.h"

enum { WORDS_MAX = 16 };

static int parse(struct options *o, struct buf *why, const char *const *words)
{
	char *copies[WORDS_MAX + 1] = {NULL}, *argv[WORDS_MAX + 1];
	int argc = 0, error;

	for (; words[argc]; argc++)
		assert_non_null(copies[argc] = strdup(words[argc]));
	memcpy(argv, copies, sizeof(argv)); /* getopt reorders */
	error = options_parse(o, argc, argv, why);
	while (argc--)
		free(copies[argc]);
	return error;
}

#define LINE(...) ((const char *const[]){__VA_ARGS__, NULL})
#define PLACES	  "tootfs", "file:///bucket", "/tmp"

static struct options good(const char *const *words)
{
	struct options o;
	struct buf why = BUF_EMPTY;
	int error = parse(&o, &why, words);

	if (error)
		fail_msg("%d: %s", error, buf_string(&why));
	assert_int_equal(why.length, 0);
	buf_destroy(&why);
	return o;
}

static void bad(const char *const *words, const char *part_of_why)
{
	struct options o;
	struct buf why = BUF_EMPTY;

	assert_int_equal(parse(&o, &why, words), -EINVAL);
	if (!strstr(buf_string(&why), part_of_why))
		fail_msg("'%s' is not in: %s", part_of_why, buf_string(&why));
	assert_null(strchr(buf_string(&why), '\n'));
	options_destroy(&o);
	buf_destroy(&why);
}

static void test_places(void **state)
{
	(void)state;
	struct options o = good(LINE(PLACES));

	assert_int_equal(o.wish, OPTIONS_MOUNT);
	assert_string_equal(o.spec, "file:///bucket");
	assert_string_equal(o.config.bucket.spec, "file:///bucket");
	assert_string_equal(o.mountpoint, "/tmp");
	assert_string_equal(buf_string(&o.mount_options), "");
	assert_false(o.foreground);
	assert_false(o.fake);
	assert_int_equal(o.allow_other, geteuid() == 0);
	assert_non_null(o.config.cache); /* finished */
	options_destroy(&o);

	o = good(LINE("tootfs", "file:///bucket", "/no/such/folder"));
	assert_string_equal(o.mountpoint, "/no/such/folder");
	options_destroy(&o);

	AUTO_FREE char *here = getcwd(NULL, 0);
	assert_int_equal(chdir("/usr"), 0);
	o = good(LINE("tootfs", "file:///bucket", "no-such-folder"));
	assert_string_equal(o.mountpoint, "/usr/no-such-folder");
	options_destroy(&o);
	o = good(LINE("tootfs", "file:///bucket", "lib/.."));
	assert_string_equal(o.mountpoint, "/usr");
	options_destroy(&o);
	assert_int_equal(chdir(here), 0);

	bad(LINE("tootfs"), "--help");
	bad(LINE("tootfs", "file:///bucket"), "mount point");
	bad(LINE(PLACES, "/more"), "too many");
	bad(LINE("tootfs", "/mnt", "s3://bucket"), "first");
	bad(LINE("tootfs", "file:///bucket", ""), "first");
}

static void test_switches(void **state)
{
	(void)state;
	static const char *const orders[][8] = {
	    {PLACES, "-f", "-o", "ro"},
	    {"tootfs", "-f", "-o", "ro", "file:///bucket", "/tmp"},
	    {"tootfs", "file:///bucket", "-o", "ro", "/tmp", "-f"},
	    {"tootfs", "-foro", "--", "file:///bucket", "/tmp"},
	    {"tootfs", "--foreground", "--options=ro", "file:///bucket", "/tmp"},
	};

	for (size_t i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
		struct options o = good(orders[i]);
		assert_true(o.foreground);
		assert_true(o.config.ro);
		options_destroy(&o);
	}
	struct options o = good(LINE(PLACES, "-d"));
	assert_true(o.foreground);
	assert_int_equal(o.config.log.level, LOG_LEVEL_DEBUG);
	options_destroy(&o);
	o = good(LINE(PLACES, "-d", "-o", "log_level=error")); /* what is said explicitly wins */
	assert_int_equal(o.config.log.level, LOG_LEVEL_ERROR);
	options_destroy(&o);

	bad(LINE(PLACES, "-x"), "-x is not an option");
	bad(LINE(PLACES, "--frobnicate"), "--frobnicate is not an option");
	bad(LINE(PLACES, "-o"), "-o needs a value");
	bad(LINE(PLACES, "-N", "/proc/1/ns/mnt"), "nsenter");
}

static void test_help(void **state)
{
	(void)state;
	static const struct {
		const char *word;
		enum options_wish wish;
	} cases[] = {{"--help", OPTIONS_HELP},
		     {"-h", OPTIONS_HELP},
		     {"--version", OPTIONS_VERSION},
		     {"-V", OPTIONS_VERSION}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct options o = good(LINE("tootfs", cases[i].word));
		assert_int_equal(o.wish, cases[i].wish);
		options_destroy(&o);
	}
}

static void test_mount_8(void **state)
{
	(void)state;
	/* what "mount -a", "mount -sfnv" and "mount -t fuse.tootfs" make of fstab lines */
	struct options o = good(LINE("/sbin/mount.tootfs", "file:///bucket", "/tmp", "-o",
				     "rw,_netdev,nofail,x-systemd.automount,X-mount.mkdir=0755,"
				     "comment=mine,noauto,defaults,user=karel,relatime,cache=/c"));
	assert_false(o.fake);
	assert_false(o.foreground);
	assert_false(o.config.ro);
	assert_string_equal(o.config.cache, "/c");
	assert_string_equal(buf_string(&o.mount_options), "noexec,nosuid,nodev");
	options_destroy(&o);

	o = good(LINE("/sbin/mount.tootfs", "file:///bucket", "/tmp", "-sfnv", "-o",
		      "ro,frobnicate", "-t", "fuse.tootfs"));
	assert_true(o.fake);
	assert_false(o.foreground);
	assert_true(o.config.ro);
	options_destroy(&o);

	o = good(LINE("tootfs", "file:///bucket", "/tmp", "-o", "rw,dev,suid"));
	assert_string_equal(buf_string(&o.mount_options), "dev,suid");
	options_destroy(&o);

	o = good(LINE(PLACES, "-o", "user,exec,noatime,sync"));
	assert_string_equal(buf_string(&o.mount_options), "noexec,nosuid,nodev,exec,noatime,sync");
	options_destroy(&o);

	o = good(LINE(PLACES, "-o", "context=\"system_u:object_r:x_t:s0:c1,c2\""));
	assert_string_equal(buf_string(&o.mount_options),
			    "context=system_u:object_r:x_t:s0:c1\\,c2");
	options_destroy(&o);

	bad(LINE("mount.tootfs", "file:///bucket", "/tmp", "-o", "remount,ro"), "umount");
	/* sloppy is about names, not about values */
	bad(LINE("mount.tootfs", "file:///bucket", "/tmp", "-s", "-o", "uploads=none"), "uploads");
}

static void test_words(void **state)
{
	(void)state;
	static const struct {
		const char *list;
		bool ro, allow_other;
	} cases[] = {
	    {"ro", true, true},
	    {"rw", false, true},
	    {"ro,rw", false, true},
	    {"rw,ro", true, true},
	    {",,ro,,", true, true},
	    {"noallow_other", false, false},
	    {"", false, true},
	    {"noallow_other,allow_other", false, true},
	    {"ro=off,nonempty", false, true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct options o = good(LINE(PLACES, "-o", "allow_other", "-o", cases[i].list));
		assert_int_equal(o.config.ro, cases[i].ro);
		assert_int_equal(o.allow_other, cases[i].allow_other);
		options_destroy(&o);
	}
}

static void test_values(void **state)
{
	(void)state;
	static const struct {
		const char *list, *cache_control;
	} cases[] = {
	    {"cache_control=private", "private"},
	    {"cache_control=a\\,b,ro", "a,b"},
	    {"cache_control=\"a, b\",ro", "a, b"},
	    {"cache_control=a\\\\b", "a\\b"},
	    {"cache_control=a\\nb", "a\\nb"},
	    {"cache_control=\\\"a\\\"", "\"a\""},
	    {"\"cache_control=a,b\"", "a,b"},
	    {"cache_control=x=y", "x=y"},
	    {"cache_control=a\\", "a\\"},
	    {"cache_control=first,cache_control=last", "last"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct options o = good(LINE(PLACES, "-o", cases[i].list));
		assert_string_equal(o.config.bucket.cache_control, cases[i].cache_control);
		options_destroy(&o);
	}
}

static void test_refused(void **state)
{
	(void)state;
	bad(LINE(PLACES, "-o", "cachesize=1G"), "cache_size");
	bad(LINE(PLACES, "-o", "endpiont=http://x"), "endpoint");
	bad(LINE(PLACES, "-o", "ro,frobnicate=1"), "frobnicate");
	bad(LINE(PLACES, "-o", "cache_control=\"open"), "quote");
	bad(LINE(PLACES, "-o", "uploads"), "uploads");
	bad(LINE(PLACES, "-o", "allow_othr"), "allow_other");
	bad(LINE(PLACES, "-o", "secret=hunter2"), "secret");

	struct options o;
	struct buf why = BUF_EMPTY;
	assert_int_equal(parse(&o, &why, LINE(PLACES, "-o", "secret=hunter2")), -EINVAL);
	assert_null(strstr(buf_string(&why), "hunter2"));
	options_destroy(&o);
	buf_destroy(&why);
}

static char *text_of(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t space = 0;

	if (!file)
		fail_msg("%s: %s", path, strerror(errno));
	assert_true(getdelim(&text, &space, '\0', file) > 0);
	fclose(file);
	return text;
}

struct page {
	const char *text, *form;
};

static int row_is_in(void *arg, const struct config_option *option)
{
	const struct page *page = arg;
	char line[100];

	snprintf(line, sizeof(line), page->form, option->name);
	if (!strstr(page->text, line))
		fail_msg("nothing of the option %s", option->name);
	return 0;
}

/* The page is next to the sources; __FILE__ is where this one was compiled from. */
static void test_manual(void **state)
{
	(void)state;
	char path[4096] = __FILE__;
	char *at = strstr(path, "tests/unit/");

	assert_non_null(at);
	snprintf(at, sizeof(path) - (size_t)(at - path), "fs/tootfs.8");
	struct page page = {text_of(path), "\n.It Cm %s="};
	config_each(row_is_in, &page);
	free((char *)page.text);
}

static void test_help_text(void **state)
{
	(void)state;
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	options_help(out);
	fclose(out);
	struct page page = {text, "\n  %s"};
	config_each(row_is_in, &page);
	assert_non_null(strstr(text, "\n  allow_other"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_places),    cmocka_unit_test(test_switches),
	    cmocka_unit_test(test_help),      cmocka_unit_test(test_mount_8),
	    cmocka_unit_test(test_words),     cmocka_unit_test(test_values),
	    cmocka_unit_test(test_refused),   cmocka_unit_test(test_manual),
	    cmocka_unit_test(test_help_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
