#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "cache/bucket/ops.h"
#include "cache/bucket/s3_place.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define X63 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static int parse(const char *spec, const char *endpoint, const char *region, int path_style,
		 struct s3_place *out)
{
	const struct s3_place_request request = {
		.spec = spec, .endpoint = endpoint, .region = region, .path_style = path_style};

	return s3_place_parse(&request, out);
}

static void test_addresses(void **state)
{
	(void)state;
	static const struct {
		const char *spec, *endpoint, *region;
		int path_style;
		bool tls, aws;
		const char *host, *root, *found_region;
	} cases[] = {
		{"s3://media", NULL, NULL, -1, true, true, "media.s3.us-east-1.amazonaws.com", "", "us-east-1"},
		{"s3://media", "", "eu-west-1", -1, true, true, "media.s3.eu-west-1.amazonaws.com", "",
		 "eu-west-1"},
		{"s3://media", NULL, "cn-north-1", -1, true, true, "media.s3.cn-north-1.amazonaws.com.cn", "",
		 "cn-north-1"},
		{"s3://media", NULL, NULL, 1, true, true, "s3.us-east-1.amazonaws.com", "/media", "us-east-1"},
		{"s3://med.ia", NULL, NULL, -1, true, true, "s3.us-east-1.amazonaws.com", "/med.ia", "us-east-1"},
		{"s3://med.ia", NULL, NULL, 0, true, true, "s3.us-east-1.amazonaws.com", "/med.ia", "us-east-1"},
		{"s3://media", "https://s3.eu-central-1.amazonaws.com", NULL, -1, true, true,
		 "s3.eu-central-1.amazonaws.com", "/media", "eu-central-1"},
		{"s3://media", "s3-eu-west-3.amazonaws.com", NULL, 0, true, true,
		 "media.s3-eu-west-3.amazonaws.com", "", "eu-west-3"},
		{"s3://media", "https://s3.dualstack.eu-west-3.amazonaws.com", NULL, 0, true, true,
		 "media.s3.dualstack.eu-west-3.amazonaws.com", "", "eu-west-3"},
		{"s3://media", "https://s3.amazonaws.com", NULL, 0, true, true, "media.s3.amazonaws.com", "",
		 "us-east-1"},
		{"s3://media", "minio.example.org", NULL, -1, true, false, "minio.example.org", "/media",
		 "us-east-1"},
		{"s3://media", "https://Minio.Example.org/", "fr-par", 0, true, false,
		 "media.minio.example.org", "", "fr-par"},
		{"s3://media", "http://127.0.0.1:9000", NULL, -1, false, false, "127.0.0.1:9000", "/media",
		 "us-east-1"},
		{"s3://media", "http://h:80", NULL, -1, false, false, "h", "/media", "us-east-1"},
		{"s3://media", "https://h:443", NULL, -1, true, false, "h", "/media", "us-east-1"},
		{"s3://media", "https://h:80", NULL, -1, true, false, "h:80", "/media", "us-east-1"},
		{"s3://media", "HTTP://[::1]:9000", NULL, -1, false, false, "[::1]:9000", "/media", "us-east-1"},
		{"s3://media", "http://[::1]", NULL, -1, false, false, "[::1]", "/media", "us-east-1"},
		{"s3://media", "https://media.example.org", NULL, -1, true, false, "media.example.org", "/media",
		 "us-east-1"},
		{"s3://Old_Swift.Bucket", "https://h", NULL, -1, true, false, "h", "/Old_Swift.Bucket",
		 "us-east-1"},
		{"s3://" X63 "y", "https://h", NULL, -1, true, false, "h", "/" X63 "y", "us-east-1"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct s3_address address;
		struct s3_place place;

		int r = parse(cases[i].spec, cases[i].endpoint, cases[i].region, cases[i].path_style, &place);
		if (r)
			print_message("case %zu: %s\n", i, bucket_why());
		assert_int_equal(r, 0);
		s3_place_address(&place, place.host, &address);
		assert_string_equal(address.host, cases[i].host);
		assert_string_equal(address.root, cases[i].root);
		assert_string_equal(place.region, cases[i].found_region);
		assert_int_equal(place.tls, cases[i].tls);
		assert_int_equal(place.aws, cases[i].aws);
	}
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *spec, *endpoint, *region, *words;
	} cases[] = {
		{"media", NULL, NULL, "s3://NAME"},
		{"s3:/media", NULL, NULL, "s3://NAME"},
		{"s3://", NULL, NULL, "no bucket is named"},
		{"s3:///x", NULL, NULL, "no bucket is named"},
		{"s3://ab", NULL, NULL, "3 to 63"},
		{"s3://" X63 "y", NULL, NULL, "3 to 63"},
		{"s3://-abc", NULL, NULL, "first a letter or digit"},
		{"s3://Media", NULL, NULL, "lower-case"},
		{"s3://me_dia", NULL, NULL, "lower-case"},
		{"s3://me dia", "https://h", NULL, "only letters"},
		{"s3://me:dia", "https://h", NULL, "only letters"},
		{"s3://media/a//b", NULL, NULL, "empty name"},
		{"s3://media/a/../b", NULL, NULL, ". or .."},
		{"s3://media", "https://h/media", NULL, "includes a path"},
		{"s3://media", "https://h?x", NULL, "includes a path"},
		{"s3://media", "https://h/#", NULL, "includes a path"},
		{"s3://media", "ftp://h", NULL, "only https:// and http://"},
		{"s3://media", "https://", NULL, "names no host"},
		{"s3://media", "https://:9000", NULL, "names no host"},
		{"s3://media", "https://user:pw@h", NULL, "user name"},
		{"s3://media", "https://h:0", NULL, "port"},
		{"s3://media", "https://h:65536", NULL, "port"},
		{"s3://media", "https://h:", NULL, "port"},
		{"s3://media", "https://h:9x", NULL, "port"},
		{"s3://media", "https://h h", NULL, "not a host name"},
		{"s3://media", "https://h\r\nx", NULL, "not a host name"},
		{"s3://media", "https://h%2fx", NULL, "not a host name"},
		{"s3://media", "https://a:b:9000", NULL, "not a host name"},
		{"s3://media", "https://media.s3.example.org", NULL, "includes the bucket"},
		{"s3://media", "https://Media.s3-eu-west-1.amazonaws.com", NULL, "includes the bucket"},
		{"s3://media", "https://media.nyc3.digitaloceanspaces.com", NULL, "includes the bucket"},
		{"s3://media", "https://media.fsn1.your-objectstorage.com", NULL, "endpoint=https://fsn1."},
		{"s3://media", "https://h", "EU", "region=EU"},
		{"s3://media", "https://h", "a/b", "region=a/b"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct s3_place place;

		fault_clear();
		assert_int_equal(parse(cases[i].spec, cases[i].endpoint, cases[i].region, -1, &place), -EINVAL);
		if (!strstr(bucket_why(), cases[i].words))
			print_message("case %zu: %s\n", i, bucket_why());
		assert_non_null(strstr(bucket_why(), cases[i].words));
		assert_null(strstr(bucket_why(), "pw"));
		assert_false(fault_of_thread()->again);
	}
}

static void test_prefix(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"s3://media", ""},		    {"s3://media/", ""},
		{"s3://media//", ""},		    {"s3://media/a", "a/"},
		{"s3://media/a/b/", "a/b/"},	    {"s3://media//a//", "a/"},
		{"s3://media/a b+\xc3\xa9", "a b+\xc3\xa9/"},
	};
	struct s3_place place;

	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(parse(cases[i][0], "https://h", NULL, -1, &place), 0);
		assert_string_equal(place.bucket, "media");
		assert_string_equal(place.prefix, cases[i][1]);
	}
}

/* What the env file says counts where the spec says nothing. */
static void test_fallback(void **state)
{
	(void)state;
	struct s3_place_request q = {.spec = "s3://", .bucket = "ours", .prefix = "sys/", .path_style = -1};
	struct s3_place place;

	assert_int_equal(s3_place_parse(&q, &place), 0);
	assert_string_equal(place.bucket, "ours");
	assert_string_equal(place.prefix, "sys/");
	q.spec = "s3://other/x";
	assert_int_equal(s3_place_parse(&q, &place), 0);
	assert_string_equal(place.bucket, "other");
	assert_string_equal(place.prefix, "x/");
	q.bucket = "no way";
	q.spec = "s3://";
	assert_int_equal(s3_place_parse(&q, &place), -EINVAL);
}

static void test_region_of(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"media.s3.eu-west-1.amazonaws.com", "eu-west-1"},
		{"media.s3-eu-west-1.amazonaws.com", "eu-west-1"},
		{"s3.dualstack.eu-west-1.amazonaws.com", "eu-west-1"},
		{"s3.cn-north-1.amazonaws.com.cn", "cn-north-1"},
		{"s3.amazonaws.com", NULL},
		{"media.s3.amazonaws.com", NULL},
		{"s3.eu-west-1.amazonaws.com.evil.example", NULL},
		{"evil.example", NULL},
		{"", NULL},
		{"s3.EVIL.amazonaws.com", NULL},
		{"s3..amazonaws.com", NULL},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char region[S3_REGION_BYTES] = "";
		assert_int_equal(s3_place_region_of(cases[i][0], region), cases[i][1] != NULL);
		if (cases[i][1])
			assert_string_equal(region, cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_prefix),	  cmocka_unit_test(test_fallback),
		cmocka_unit_test(test_region_of),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
