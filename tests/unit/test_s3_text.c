#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "cache/bucket/s3_text.h"

#define S INT64_C(1000000000)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void test_number(void **state)
{
	(void)state;
	static const char *const bad[] = {"", " 1", "1 ", "-1", "+1", "0x1", "1.5", "18446744073709551616", "a"};
	uint64_t n;

	assert_int_equal(s3_text_number("0", &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(s3_text_number("18446744073709551615", &n), 0);
	assert_true(n == UINT64_MAX);
	for (size_t i = 0; i < COUNT(bad); i++) {
		n = 7;
		assert_int_equal(s3_text_number(bad[i], &n), -EPROTO);
		assert_int_equal(n, 7);
	}
}

static void test_times(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ns;
	} iso[] = {
		{"1970-01-01T00:00:01Z", S},
		{"2024-02-29T23:59:59Z", 1709251199 * S},
		{"2024-02-29T23:59:59.5Z", 1709251199 * S + S / 2},
		{"2024-02-29T23:59:59.123Z", 1709251199 * S + 123000000},
		{"2024-02-29T23:59:59.123456789999Z", 1709251199 * S + 123456789},
		{"2024-02-29T23:59:59+00:00", 1709251199 * S},
		{"2024-02-29T23:59:59", 0},
		{"2024-02-29T23:59:59+01:00", 0},
		{"2024-13-01T00:00:00Z", 0},
		{"2024-00-01T00:00:00Z", 0},
		{"9999-01-01T00:00:00Z", 0},
		{"1969-12-31T23:59:59Z", 0},
		{"2024-2-9T23:59:59Z", 0},
		{"-024-02-29T23:59:59Z", 0},
		{"2024-02-29", 0},
		{"", 0},
	}, http[] = {
		{"Thu, 29 Feb 2024 23:59:59 GMT", 1709251199 * S},
		{"Thu, 01 Jan 1970 00:00:01 GMT", S},
		{"yesterday", 0},
		{"", 0},
	};

	for (size_t i = 0; i < COUNT(iso); i++)
		assert_true(s3_text_iso_time(iso[i].text) == iso[i].ns);
	for (size_t i = 0; i < COUNT(http); i++)
		assert_true(s3_text_http_time(http[i].text) == http[i].ns);
}

static void test_etag(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"\"d41d8cd98f00b204e9800998ecf8427e\"", "d41d8cd98f00b204e9800998ecf8427e"},
		{"d41d8cd98f00b204e9800998ecf8427e-3", "d41d8cd98f00b204e9800998ecf8427e-3"},
		{"W/\"weak\"", "weak"},
		{" \"x\"", "x"},
		{"\"\"", ""},
		{"", ""},
		{"\"", ""},
		{"\"a\"b\"", ""},
		{"\"a\r\nx-evil: 1\"", ""},
		{"\"a b\"", ""},
		{"\"\xc3\xa9\"", ""},
		{"\"a\\\"", ""},
	};
	char long_one[ETAG_BYTES + 8], out[ETAG_BYTES];

	for (size_t i = 0; i < COUNT(cases); i++) {
		memset(out, 'x', sizeof(out));
		s3_text_etag(out, cases[i][0]);
		assert_string_equal(out, cases[i][1]);
	}
	memset(long_one, 'a', sizeof(long_one));
	long_one[ETAG_BYTES] = '\0';
	s3_text_etag(out, long_one);
	assert_string_equal(out, "");
	long_one[ETAG_BYTES - 1] = '\0';
	s3_text_etag(out, long_one);
	assert_string_equal(out, long_one);
}

static void test_copy(void **state)
{
	(void)state;
	char out[5];

	s3_text_copy(out, sizeof(out), "ab");
	assert_string_equal(out, "ab");
	s3_text_copy(out, sizeof(out), "a\n\x1b\x7f" "bcd");
	assert_string_equal(out, "a???");
}

static void test_decode(void **state)
{
	(void)state;
	static const struct {
		const char *text, *plain;
		long length;
	} cases[] = {
		{"a+b%2Bc%20d", "a b+c d", 7}, {"%C3%a9", "\xc3\xa9", 2}, {"a%00b", "a", 3}, {"", "", 0},
		{"%", NULL, -EINVAL},	       {"%2", NULL, -EINVAL},	  {"%zz", NULL, -EINVAL},
	};
	char text[64];

	for (size_t i = 0; i < COUNT(cases); i++) {
		strcpy(text, cases[i].text);
		assert_int_equal(s3_text_decode(text), cases[i].length);
		if (cases[i].plain)
			assert_string_equal(text, cases[i].plain);
	}
}

static void test_range(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",		 "bytes 5-9/*",	   "bytes */10",   "bytes 5-4/10",  "bytes 5-10/10", "bytes 5-9/10 ",
		"items 5-9/10",	 "bytes=5-9/10",   "bytes -5/10",  "bytes 5-/10",   "bytes 5-9",     "bytes 0-0/0",
		"bytes 5-9/10x", "bytes +5-9/10",
	};
	struct s3_range r;

	assert_int_equal(s3_text_range("bytes 5-9/10", &r), 0);
	assert_true(r.first == 5 && r.last == 9 && r.size == 10);
	assert_int_equal(s3_text_range("bytes 0-18446744073709551613/18446744073709551614", &r), 0);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(s3_text_range(bad[i], &r), -EPROTO);
}

static void test_mode(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint32_t mode; /* 0 = refused */
	} cases[] = {
		{"33188", S_IFREG | 0644},  {"41471", S_IFLNK | 0777}, {"16877", S_IFDIR | 0755},
		{"100644", S_IFREG | 0644}, {"0100644", S_IFREG | 0644}, {"0120777", S_IFLNK | 0777},
		{"040755", S_IFDIR | 0755}, {"420", 0},		       {"0644", 0},
		{"8592", 0},		    {"0", 0},		       {"", 0},
		{"-1", 0},		    {"33188x", 0},	       {"99999999999999999999", 0},
		{"08", 0},		    {"4294967296", 0},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		uint32_t mode = 0;
		int r = s3_text_mode(cases[i].text, &mode);
		assert_int_equal(r, cases[i].mode ? 0 : -EPROTO);
		assert_int_equal(mode, cases[i].mode);
	}
}

static void test_mtime(void **state)
{
	(void)state;
	static const struct {
		const char *text, *written; /* written NULL = refused */
		int64_t ns;
	} cases[] = {
		{"1700000000", "1700000000", 1700000000 * S},
		{"1700000000.123456789", "1700000000.123456789", 1700000000 * S + 123456789},
		{"1700000000.5", "1700000000.500000000", 1700000000 * S + S / 2},
		{"1700000000.12345678912345", "1700000000.123456789", 1700000000 * S + 123456789},
		{"1700000000.", "1700000000", 1700000000 * S},
		{"-5", "-5", -5 * S},
		{"-1.5", "-1.500000000", -S - S / 2},
		{"9223372035", "9223372035", 9223372035 * S},
		{"9223372036", NULL, 0},
		{"", NULL, 0},
		{"-", NULL, 0},
		{".5", NULL, 0},
		{"1e9", NULL, 0},
		{"1.5 ", NULL, 0},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[S3_MTIME_BYTES];
		int64_t ns = 7;
		int r = s3_text_mtime(cases[i].text, &ns);

		assert_int_equal(r, cases[i].written ? 0 : -EPROTO);
		if (r)
			continue;
		assert_true(ns == cases[i].ns);
		s3_text_mtime_write(text, ns);
		assert_string_equal(text, cases[i].written);
	}
	char text[S3_MTIME_BYTES];
	s3_text_mtime_write(text, INT64_MIN);
	assert_string_equal(text, "-9223372036.854775808");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_number), cmocka_unit_test(test_times), cmocka_unit_test(test_etag),
		cmocka_unit_test(test_copy),   cmocka_unit_test(test_decode), cmocka_unit_test(test_range),
		cmocka_unit_test(test_mode),   cmocka_unit_test(test_mtime),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
