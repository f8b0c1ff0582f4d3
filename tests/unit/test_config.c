/* The table of options: values and their limits, near misses, contradictions, derived defaults; and
 * the example for fstab, which must know every option and say nothing that the table does not take.
 */
#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "cache/config.h"

static struct cache_config c;
static struct buf why;

static int setup(void **state)
{
	(void)state;
	config_init(&c);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	config_destroy(&c);
	buf_destroy(&why);
	return 0;
}

static int set(const char *name, const char *value)
{
	int r;

	buf_clear(&why);
	r = config_set(&c, name, value, &why);
	assert_int_equal(r != 0, why.length > 0);
	return r;
}

static void assert_why(const char *words)
{
	if (!strstr(buf_string(&why), words))
		fail_msg("\"%s\" is not in \"%s\"", words, buf_string(&why));
}

static void defaults(void **state)
{
	(void)state;
	assert_null(c.cache);
	assert_int_equal(c.cache_size_bytes, 10ull << 30);
	assert_int_equal(c.bucket.path_style, -1);
	assert_null(c.bucket.acl);
	assert_null(c.bucket.region);
	assert_null(c.bucket.cache_control);
	assert_false(c.bucket.attrs_object || c.bucket.checksum_sha256);
	assert_true(c.bucket.verify);
	assert_true(c.uid == UINT32_MAX && c.gid == UINT32_MAX);
	assert_int_equal(c.file_mode, 0644);
	assert_int_equal(c.dir_mode, 0755);
	assert_false(c.durability_bucket);
	assert_int_equal(c.uploads, 16);
	assert_int_equal(c.downloads, 16);
	assert_int_equal(c.part_size_bytes, 8 << 20);
	assert_int_equal(c.shared_s, 0);
	assert_true(!c.ro && c.sticky && c.survey);
	assert_int_equal(c.stop_timeout_ms, 90000);
	assert_int_equal(c.io_timeout_ms, 30000);
	assert_int_equal(c.full_timeout_ms, 60000);
	assert_int_equal(c.log.level, LOG_LEVEL_INFO);
	assert_int_equal(c.log.format, LOG_FORMAT_TEXT);
}

/* Where a value went, as one number. */
static int64_t number_of(const char *name)
{
	const struct {
		const char *name;
		int64_t value;
	} numbers[] = {
	    {"cache_size", (int64_t)c.cache_size_bytes},
	    {"part_size", (int64_t)c.part_size_bytes},
	    {"path_style", c.bucket.path_style},
	    {"uid", c.uid},
	    {"file_mode", c.file_mode},
	    {"uploads", c.uploads},
	    {"shared", c.shared_s},
	    {"ro", c.ro},
	    {"sticky", c.sticky},
	    {"io_timeout", c.io_timeout_ms},
	    {"stop_timeout", c.stop_timeout_ms},
	    {"durability", c.durability_bucket},
	    {"attrs", c.bucket.attrs_object},
	    {"checksum", c.bucket.checksum_sha256},
	    {"verify", c.bucket.verify},
	    {"log", c.log.place},
	    {"log_level", c.log.level},
	    {"log_format", c.log.format},
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (strcmp(numbers[i].name, name) == 0)
			return numbers[i].value;
	fail_msg("%s", name);
	return 0;
}

static void values(void **state)
{
	static const struct {
		const char *name, *value;
		int64_t number;
	} rows[] = {
	    {"cache_size", "64M", 64 << 20},
	    {"cache_size", "67108864", 64 << 20},
	    {"cache_size", "65536k", 64 << 20},
	    {"cache_size", "1GiB", 1 << 30},
	    {"cache_size", "2T", 2ll << 40},
	    {"part_size", "5M", 5 << 20},
	    {"part_size", "5G", 5ll << 30},
	    {"path_style", "on", 1},
	    {"path_style", "off", 0},
	    {"path_style", "auto", -1},
	    {"uid", "0", 0},
	    {"uid", "4294967294", 4294967294ll},
	    {"file_mode", "0600", 0600},
	    {"file_mode", "640", 0640},
	    {"uploads", "1", 1},
	    {"uploads", "256", 256},
	    {"shared", "30", 30},
	    {"shared", "2m", 120},
	    {"ro", "on", 1},
	    {"ro", "No", 0},
	    {"ro", NULL, 1},
	    {"sticky", "0", 0},
	    {"sticky", NULL, 1},
	    {"io_timeout", "250ms", 250},
	    {"io_timeout", "5", 5000},
	    {"io_timeout", "1h", 3600000},
	    {"stop_timeout", "0", 0},
	    {"durability", "bucket", 1},
	    {"durability", "cache", 0},
	    {"attrs", "object", 1},
	    {"checksum", "sha256", 1},	{"verify", "off", 0},
	    {"log", "journald", LOG_PLACE_JOURNALD},
	    {"log_level", "debug", LOG_LEVEL_DEBUG},
	    {"log_level", "error", LOG_LEVEL_ERROR},
	    {"log_format", "json", LOG_FORMAT_JSON},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(set(rows[i].name, rows[i].value), 0);
		assert_int_equal(number_of(rows[i].name), rows[i].number);
	}
}

static void values_that_are_none(void **state)
{
	static const struct {
		const char *name, *value, *words;
	} rows[] = {
	    {"cache_size", "63M", "a size from 64M"},
	    {"cache_size", "10Q", "cache_size cannot be \"10Q\""},
	    {"cache_size", "", "default: 10G"},
	    {"cache_size", "-1", "a size"},
	    {"cache_size", "50%", "a size"},
	    {"cache_size", "1 G", "a size"},
	    {"cache_size", "99999999999999999999", "a size"},
	    {"cache_size", "17179869184T", "a size"},
	    {"part_size", "4M", "5M to 5G"},
	    {"part_size", "6G", "5M to 5G"},
	    {"path_style", "virtual", "auto|off|on"},
	    {"uid", "mastodon", "a number"},
	    {"uid", "4294967295", "a number"},
	    {"file_mode", "0888", "octal"},
	    {"file_mode", "10000", "octal"},
	    {"uploads", "0", "1 to 256"},
	    {"uploads", "257", "1 to 256"},
	    {"shared", "25h", "24h"},
	    {"ro", "maybe", "on|off"},
	    {"io_timeout", "0", "100ms to 1h"},
	    {"io_timeout", "1.5", "100ms to 1h"},
	    {"io_timeout", "5 s", "100ms to 1h"},
	    {"durability", "disk", "cache|bucket"},
	    {"acl", "public", "public-read|private|none"},
	    {"sse", "", "AES256"},
	    {"log_level", "verbose", "error|warn|info|debug"},
	    {"region", "a\nb", "control character"},
	    {"cache", "~/cache", "in full"},
	    {"cache", NULL, "needs a value: cache=FOLDER"},
	    {"uploads", NULL, "needs a value"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(set(rows[i].name, rows[i].value), -EINVAL);
		assert_why(rows[i].words);
	}
	defaults(state);
}

static void names_that_are_none(void **state)
{
	static const struct {
		const char *name, *words;
	} rows[] = {
	    {"cachesize", "unknown option \"cachesize\", did you mean \"cache_size\"?"},
	    {"cache-size", "\"cache_size\"?"},
	    {"endpiont", "\"endpoint\"?"},
	    {"url_endpoint", "unknown option"},
	    {"Region", "\"region\"?"},
	    {"log-level", "\"log_level\"?"},
	    {"parts_size", "\"part_size\"?"},
	    {"readonly", "unknown option \"readonly\""},
	    {"", "unknown option \"\""},
	    {"a_name_that_is_much_longer_than_any_option_could_ever_be", "unknown option"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(set(rows[i].name, "x"), -EINVAL);
		assert_why(rows[i].words);
	}
	set("zzzzzz", "x");
	assert_null(strstr(buf_string(&why), "did you mean"));
}

static void the_last_one_wins_and_is_owned(void **state)
{
	char value[] = "first";
	char here[4096];

	(void)state;
	assert_int_equal(set("region", value), 0);
	strcpy(value, "xxxxx");
	assert_string_equal(c.bucket.region, "first");
	assert_int_equal(set("region", "second"), 0);
	assert_string_equal(c.bucket.region, "second");
	assert_int_equal(set("region", ""), 0);
	assert_null(c.bucket.region);
	assert_non_null(getcwd(here, sizeof(here) - 16));
	strcat(strcmp(here, "/") ? here : strcpy(here, ""), "/some/cache");
	assert_int_equal(set("cache", "some/cache"), 0);
	assert_string_equal(c.cache, here);
}

static void contradictions(void **state)
{
	static const struct {
		const char *spec;
		const char *set[4][2];
		const char *words; /* NULL = fine */
	} rows[] = {
	    {NULL, {{0}}, "no bucket is given"},
	    {"", {{0}}, "no bucket is given"},
	    {"s3://b", {{0}}, NULL},
	    {"file:///f", {{0}}, NULL},
	    {"s3://b", {{"sse_kms_key", "k"}}, "sse_kms_key needs sse=aws:kms"},
	    {"s3://b", {{"sse_kms_key", "k"}, {"sse", "AES256"}}, "needs sse=aws:kms"},
	    {"s3://b", {{"sse_kms_key", "k"}, {"sse", "aws:kms"}}, NULL},
	    {"s3://b", {{"endpoint", "s3.example.com"}}, "begins with https://"},
	    {"s3://b", {{"endpoint", "http://localhost:9000"}}, NULL},
	    {"s3://b", {{"ro", NULL}, {"durability", "bucket"}}, "leave one out"},
	    {"s3://b", {{"ro", "off"}, {"durability", "bucket"}}, NULL},
	    {"s3://b", {{"part_size", "1G"}, {"cache_size", "2G"}}, "quarter"},
	    {"file:///f", {{"endpoint", "https://h"}}, "endpoint is for an S3 server"},
	    {"file:///f", {{"profile", "p"}}, "profile is for an S3 server"},
	    {"file:///f", {{"env_file", "/e"}}, "env_file is for an S3 server"},
	    {"file:///f", {{"acl", "private"}, {"rules", "/r"}}, NULL},
	    {"file:///f", {{"cache", "/f/cache"}}, "must not lie in each other"},
	    {"file:///f/", {{"cache", "/f"}}, "must not lie in each other"},
	    {"file:///f/g", {{"cache", "/f"}}, "must not lie in each other"},
	    {"file:///f", {{"cache", "/f2"}}, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		teardown(NULL);
		setup(NULL);
		if (rows[i].spec)
			assert_int_equal(config_spec(&c, rows[i].spec), 0);
		for (int j = 0; j < 4 && rows[i].set[j][0]; j++)
			assert_int_equal(set(rows[i].set[j][0], rows[i].set[j][1]), 0);
		buf_clear(&why);
		assert_int_equal(config_finish(&c, &why), rows[i].words ? -EINVAL : 0);
		if (rows[i].words)
			assert_why(rows[i].words);
	}
}

static char *cache_of(const char *spec)
{
	char *cache;

	teardown(NULL);
	setup(NULL);
	assert_int_equal(config_spec(&c, spec), 0);
	assert_int_equal(config_finish(&c, &why), 0);
	cache = strdup(c.cache);
	assert_non_null(cache);
	return cache;
}

static void every_bucket_has_a_cache_of_its_own(void **state)
{
	static const char *const specs[] = {"s3://a",	    "s3://a/b",	   "s3://a-b",
					    "file:///a/b",  "file:///a-b", "s3://..",
					    "s3://\xff\n x"};
	enum { COUNT = sizeof(specs) / sizeof(specs[0]) };
	char *found[COUNT], *again;
	const char *base = "/xdg/tootfs/";

	(void)state;
	setenv("XDG_CACHE_HOME", "/xdg", 1);
	if (geteuid() == 0)
		base = "/var/cache/tootfs/";
	for (size_t i = 0; i < COUNT; i++) {
		found[i] = cache_of(specs[i]);
		assert_int_equal(strncmp(found[i], base, strlen(base)), 0);
		for (const char *p = found[i] + strlen(base); *p; p++)
			assert_true(isalnum((unsigned char)*p) || strchr("-._", *p));
		assert_true(found[i][strlen(base)] != '.');
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(found[i], found[j]);
	}
	again = cache_of("s3://a/");
	assert_string_equal(again, found[0]);
	free(again);
	for (size_t i = 0; i < COUNT; i++)
		free(found[i]);
}

static void what_finish_derives(void **state)
{
	(void)state;
	assert_int_equal(config_spec(&c, "s3://b/p"), 0);
	assert_int_equal(set("io_timeout", "7"), 0);
	assert_int_equal(set("uploads", "100"), 0);
	assert_int_equal(config_finish(&c, &why), 0);
	assert_string_equal(c.bucket.spec, "s3://b/p");
	assert_int_equal(c.bucket.io_timeout_ms, 7000);
	assert_true(c.bucket.connections_max > 116);
}

/* -- the table itself -- */

static int row_is_sound(void *arg, const struct config_option *o)
{
	const char *fallback = o->fallback;

	++*(int *)arg;
	assert_ptr_equal(config_find(o->name), o);
	assert_true(strlen(o->name) > 1 && strlen(o->name) <= 32);
	assert_true(islower((unsigned char)o->help[0]) || isupper((unsigned char)o->help[0]));
	assert_true(o->help[strlen(o->help) - 1] != '.' && !strchr(o->help, '\n'));
	assert_true(strlen(o->value) > 0);
	/* What is shown as a default can be written. */
	if (fallback)
		assert_int_equal(set(o->name, fallback), 0);
	return 0;
}

static int stop_at_once(void *arg, const struct config_option *o)
{
	(void)arg, (void)o;
	return 42;
}

static void the_table_is_sound(void **state)
{
	int count = 0;

	(void)state;
	assert_int_equal(config_each(row_is_sound, &count), 0);
	assert_true(count >= 30);
	assert_int_equal(config_each(stop_at_once, NULL), 42);
	assert_null(config_find("nothing"));
}

/* -- mount.example -- */

static char *example_text(void)
{
	const char *end = strstr(__FILE__, "tests/unit/");
	char path[4096], *text = calloc(1, 1 << 16);
	FILE *f;

	snprintf(path, sizeof(path), "%.*smount.example", (int)(end - __FILE__), __FILE__);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_true(fread(text, 1, (1 << 16) - 1, f) > 1000);
	fclose(f);
	return text;
}

/* Takes a word of -o; the mount's own are left out. */
static void option(char *text)
{
	static const char *const of_the_mount[] = {"_netdev", "nofail", "noauto", "allow_other",
						   "rw"};
	char *value = strchr(text, '=');

	for (size_t i = 0; i < sizeof(of_the_mount) / sizeof(of_the_mount[0]); i++)
		if (strcmp(text, of_the_mount[i]) == 0)
			return;
	if (value)
		*value++ = '\0';
	if (value && value[0] == '"') {
		value++;
		value[strcspn(value, "\"")] = '\0';
	}
	if (set(text, value) != 0)
		fail_msg("mount.example: %s", buf_string(&why));
}

static int in_the_example(void *arg, const struct config_option *o)
{
	char wanted[64], *at, *value;

	snprintf(wanted, sizeof(wanted), "\n#   %s=", o->name);
	at = strstr(arg, wanted);
	if (!at)
		fail_msg("mount.example does not explain %s", o->name);
	/* A sentence follows. */
	value = at + strlen(wanted);
	at = strchr(value, '\n');
	assert_int_equal(strncmp(at, "\n#       ", 9), 0);
	if (o->fallback) {
		bool quoted = *value == '"';

		value += quoted;
		assert_int_equal(strncmp(value, o->fallback, strlen(o->fallback)), 0);
		assert_true(value[strlen(o->fallback)] == (quoted ? '"' : '\n'));
	}
	return 0;
}

static void the_example_knows_every_option(void **state)
{
	char *text = example_text();
	int options = 0, lines = 0;

	(void)state;
	assert_int_equal(config_each(in_the_example, text), 0);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char *fstab = strstr(line, " tootfs "), *rest, *end;

		/* "#   name=value": an option; "# spec folder tootfs options 0 0": the line to copy
		 */
		if (strncmp(line, "#   ", 4) == 0 && islower((unsigned char)line[4])) {
			option(line + 4);
			options++;
		} else if (strncmp(line, "# s3://", 7) == 0 && fstab) {
			rest = fstab + strlen(" tootfs ");
			end = strstr(rest, " 0 0");
			assert_non_null(end);
			*end = '\0';
			for (char *word = rest, *next; word; word = next) {
				next = strchr(word, ',');
				if (next)
					*next++ = '\0';
				option(word);
			}
			lines++;
		} else {
			assert_true(line[0] == '#');
		}
	}
	assert_true(options >= 30);
	assert_int_equal(lines, 1);
	free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(defaults),
	    TEST(values),
	    TEST(values_that_are_none),
	    TEST(names_that_are_none),
	    TEST(the_last_one_wins_and_is_owned),
	    TEST(contradictions),
	    TEST(every_bucket_has_a_cache_of_its_own),
	    TEST(what_finish_derives),
	    TEST(the_table_is_sound),
	    TEST(the_example_knows_every_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
