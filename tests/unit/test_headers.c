/* What objects are sent with: types by extension, options, rules, and archives that stay private.
 */
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
#include "cache/bucket/headers.h"
#include "cache/bucket/ops.h"
#include "cache/bucket/rules.h"

#define IMMUTABLE "public, max-age=315576000, immutable"

static char path[2][64];

/* A file with that text; slot 0 or 1. */
static const char *file(int slot, const char *text)
{
	int fd;

	strcpy(path[slot], "/tmp/tootfs-headers-XXXXXX");
	fd = mkstemp(path[slot]);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	return path[slot];
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		if (path[i][0])
			unlink(path[i]);
		path[i][0] = '\0';
	}
	return 0;
}

static void assert_same(const char *got, const char *want)
{
	if (!want)
		assert_null(got);
	else
		assert_string_equal(got ? got : "(none)", want);
}

static struct headers *open_headers(const struct bucket_config *config)
{
	struct headers *h;

	if (headers_open(config, &h) != 0)
		fail_msg("%s", bucket_why());
	return h;
}

static void refused(const struct bucket_config *config, int error, const char *words)
{
	struct headers *h;

	assert_int_equal(headers_open(config, &h), error);
	assert_null(h);
	if (!strstr(bucket_why(), words))
		fail_msg("\"%s\" is not in \"%s\"", words, bucket_why());
}

static void defaults_are_mastodons(void **state)
{
	static const struct {
		const char *key, *type, *acl;
	} rows[] = {
	    {"media_attachments/files/1/original/a.jpeg", "image/jpeg", "public-read"},
	    {"a.jpg", "image/jpeg", "public-read"},
	    {"a.PNG", "image/png", "public-read"},
	    {"a.gif", "image/gif", "public-read"},
	    {"a.webp", "image/webp", "public-read"},
	    {"a.avif", "image/avif", "public-read"},
	    {"a.heic", "image/heic", "public-read"},
	    {"a.mp4", "video/mp4", "public-read"},
	    {"a.mov", "video/quicktime", "public-read"},
	    {"a.webm", "video/webm", "public-read"},
	    {"a.mp3", "audio/mpeg", "public-read"},
	    {"a.m4a", "audio/mp4", "public-read"},
	    {"a.ogg", "audio/ogg", "public-read"},
	    {"a.oga", "audio/ogg", "public-read"},
	    {"a.ogv", "video/ogg", "public-read"},
	    {"a.flac", "audio/flac", "public-read"},
	    {"a.wav", "audio/wav", "public-read"},
	    {"a.svg", "image/svg+xml", "public-read"},
	    {"a.ico", "image/x-icon", "public-read"},
	    {"a.txt", "text/plain", "public-read"},
	    {"a.css", "text/css", "public-read"},
	    {"a.js", "text/javascript", "public-read"},
	    {"a.json", "application/json", "public-read"},
	    {"a.html", "text/html", "public-read"},
	    {"backups/dumps/1/original/archive-1.zip", "application/zip", "private"},
	    {"backups2/a.zip", "application/zip", "public-read"},
	    {"cache/backups/a.zip", "application/zip", "public-read"},
	    {"a.b.png", "image/png", "public-read"},
	    {"dir.png/file", "application/octet-stream", "public-read"},
	    {"dir/.png", "application/octet-stream", "public-read"},
	    {"a.", "application/octet-stream", "public-read"},
	    {"a.no-such-extension-anywhere", "application/octet-stream", "public-read"},
	    {"a.0123456789012345678901234567890123456789", "application/octet-stream",
	     "public-read"},
	};
	struct bucket_config config = {.spec = "s3://x"};
	struct headers *h = open_headers(&config);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct object_headers o;

		headers_for(h, rows[i].key, &o);
		assert_string_equal(o.content_type, rows[i].type);
		assert_same(o.acl, rows[i].acl);
		assert_same(o.cache_control, IMMUTABLE);
		assert_null(o.storage_class);
		assert_null(o.sse);
		assert_null(o.sse_kms_key);
	}
	headers_close(&h);
	assert_null(h);
}

static void options_are_sent(void **state)
{
	static const struct {
		const char *acl, *sse, *kms;
		const char *sent_acl, *sent_backup_acl, *sent_sse, *sent_kms;
	} rows[] = {
	    {"private", NULL, NULL, "private", "private", NULL, NULL},
	    {"none", "none", NULL, NULL, NULL, NULL, NULL},
	    {"", "AES256", "key", "public-read", "private", "AES256", NULL},
	    {"bucket-owner-full-control", "aws:kms", "key", "bucket-owner-full-control", "private",
	     "aws:kms", "key"},
	    {NULL, "aws:kms:dsse", NULL, "public-read", "private", "aws:kms:dsse", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bucket_config config = {.acl = rows[i].acl,
					       .sse = rows[i].sse,
					       .sse_kms_key = rows[i].kms,
					       .cache_control = "none",
					       .storage_class = "GLACIER_IR"};
		struct headers *h = open_headers(&config);
		struct object_headers o;

		headers_for(h, "a.png", &o);
		assert_same(o.acl, rows[i].sent_acl);
		assert_same(o.sse, rows[i].sent_sse);
		assert_same(o.sse_kms_key, rows[i].sent_kms);
		assert_null(o.cache_control);
		assert_string_equal(o.storage_class, "GLACIER_IR");
		headers_for(h, "backups/x", &o);
		assert_same(o.acl, rows[i].sent_backup_acl);
		headers_close(&h);
	}
}

static void rules_the_last_match_wins(void **state)
{
	struct bucket_config config = {.sse_kms_key = "key"};
	struct object_headers o;
	struct headers *h;

	(void)state;
	config.rules =
	    file(0, "# what is special here\n"
		    "*          cache_control=\"public, max-age=60\" storage_class=STANDARD_IA\r\n"
		    "\n"
		    "cache/     storage_class=GLACIER_IR acl=private   # remote media\n"
		    "cache/a/   acl=none\n"
		    "*.svg      content_type=\"image/svg+xml; charset=utf-8\" cache_control=none\n"
		    "backups/   acl=public-read sse=aws:kms\n"
		    "cache/backups/none* acl=none\n"
		    "\"with blank/*\" acl=private\n");
	h = open_headers(&config);
	headers_for(h, "x/y.png", &o);
	assert_same(o.cache_control, "public, max-age=60");
	assert_same(o.storage_class, "STANDARD_IA");
	assert_same(o.acl, "public-read");
	assert_same(o.content_type, "image/png");
	headers_for(h, "cache/b/c.svg", &o);
	assert_same(o.cache_control, NULL);
	assert_same(o.storage_class, "GLACIER_IR");
	assert_same(o.acl, "private");
	assert_same(o.content_type, "image/svg+xml; charset=utf-8");
	headers_for(h, "cache/a/c", &o);
	assert_same(o.acl, NULL);
	headers_for(h, "cache2/a", &o);
	assert_same(o.acl, "public-read");
	headers_for(h, "with blank/a", &o);
	assert_same(o.acl, "private");
	/* No rule makes an archive public. */
	headers_for(h, "backups/a.zip", &o);
	assert_same(o.acl, "private");
	assert_same(o.sse, "aws:kms");
	assert_same(o.sse_kms_key, "key");
	headers_close(&h);
}

static void wrong_rules_are_told_by_line(void **state)
{
	static const struct {
		const char *text, *words;
	} rows[] = {
	    {"\n\n*.png colour=red", "line 3: after the pattern come content_type="},
	    {"*.png", "line 1: the rule sets nothing"},
	    {"*.png acl = private", "line 1: after the pattern"},
	    {"*.png acl=world", "acl cannot be \"world\""},
	    {"*.png sse=rot13", "sse cannot be \"rot13\""},
	    {"*.png storage_class=standard", "storage_class cannot be"},
	    {"*.png cache_control=", "cache_control must be"},
	    {"*.png cache_control=\"open", "a quote is not closed"},
	    {"\"*.png acl=private", "line 1: a pattern is missing"},
	    {"\"\" acl=private", "line 1: a pattern is missing"},
	    {"*.png content_type=image/\xc3\xa9", "content_type must be"},
	    {"*.png content_type=\"a\x01\"", "content_type must be"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bucket_config config = {.rules = file(0, rows[i].text)};

		refused(&config, -EINVAL, rows[i].words);
		assert_non_null(strstr(bucket_why(), config.rules));
		unlink(config.rules);
	}
}

static void wrong_options_are_refused(void **state)
{
	static const struct {
		struct bucket_config config;
		int error;
		const char *words;
	} rows[] = {
	    {{.acl = "public"}, -EINVAL, "acl cannot be \"public\""},
	    {{.sse = "AES"}, -EINVAL, "sse cannot be"},
	    {{.cache_control = "a\r\nx-evil: 1"}, -EINVAL, "cache_control must be"},
	    {{.storage_class = "a b"}, -EINVAL, "storage_class"},
	    {{.sse = "aws:kms", .sse_kms_key = "a\nb"}, -EINVAL, "sse_kms_key"},
	    {{.rules = "/no/rules"}, -ENOENT, "/no/rules"},
	    {{.content_types = "/no/types"}, -ENOENT, "/no/types"},
	    {{.content_types = "/dev/null"}, -EINVAL, "/dev/null"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		refused(&rows[i].config, rows[i].error, rows[i].words);
}

static void a_types_file_wins(void **state)
{
	struct bucket_config config = {.spec = "s3://x"};
	struct object_headers o;
	struct headers *h;

	(void)state;
	config.content_types = file(0, "# types\n"
				       "image/x-mine  png PNG2\n"
				       "types {\n"
				       "    video/x-nginx  ngx ngx2;\n"
				       "}\n"
				       "image/second  png\n"
				       "notype  zzz\n"
				       "text/empty\n");
	h = open_headers(&config);
	static const char *const want[][2] = {
	    {"a.png", "image/x-mine"},	{"a.png2", "image/x-mine"},
	    {"a.ngx", "video/x-nginx"}, {"a.ngx2", "video/x-nginx"},
	    {"a.jpg", "image/jpeg"},	{"a.zzz", "application/octet-stream"}};
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		headers_for(h, want[i][0], &o);
		assert_string_equal(o.content_type, want[i][1]);
	}
	headers_close(&h);
	config.content_types = file(1, "nothing here\n");
	refused(&config, -EINVAL, "holds no line");
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(defaults_are_mastodons),    TEST(options_are_sent),
	    TEST(rules_the_last_match_wins), TEST(wrong_rules_are_told_by_line),
	    TEST(wrong_options_are_refused), TEST(a_types_file_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
