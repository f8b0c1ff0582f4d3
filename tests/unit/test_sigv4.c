/* The vectors are Amazon's: the four examples of the S3 API Reference ("Examples: Signature Calculations") and the
 * SigV4 test suite. The key in them is Amazon's published example. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "cache/bucket/sigv4.h"

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
enum { HEADERS = 6 };

static const time_t S3_DAY = 1369353600;    /* 20130524T000000Z */
static const time_t SUITE_DAY = 1440938160; /* 20150830T123600Z */

struct vector {
	const char *name, *method, *path, *query, *payload;
	struct sigv4_header headers[HEADERS];
	const char *names, *signature;
};

static const struct credentials s3_key = {.access_key = "AKIAIOSFODNN7EXAMPLE",
					  .secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
static const struct credentials suite_key = {.access_key = "AKIDEXAMPLE",
					     .secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};

#define S3_HOST {"host", "examplebucket.s3.amazonaws.com"}
#define S3_DATE {"x-amz-date", "20130524T000000Z"}
#define S3_EMPTY {"x-amz-content-sha256", EMPTY_SHA256}
#define WELCOME "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"

static const struct vector s3_vectors[] = {
	{"get object", "GET", "/test.txt", "", EMPTY_SHA256,
	 {S3_HOST, {"range", "bytes=0-9"}, S3_EMPTY, S3_DATE},
	 "host;range;x-amz-content-sha256;x-amz-date",
	 "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
	{"put object", "PUT", "/test%24file.text", "", WELCOME,
	 {S3_DATE, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}, S3_HOST,
	  {"date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-content-sha256", WELCOME}},
	 "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
	 "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
	{"get bucket lifecycle", "GET", "/", "lifecycle", EMPTY_SHA256, {S3_HOST, S3_DATE, S3_EMPTY},
	 "host;x-amz-content-sha256;x-amz-date",
	 "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
	{"list objects", "GET", "/", "max-keys=2&prefix=J", EMPTY_SHA256, {S3_HOST, S3_DATE, S3_EMPTY},
	 "host;x-amz-content-sha256;x-amz-date",
	 "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
	{"list objects, the other order", "GET", "/", "prefix=J&max-keys=2", EMPTY_SHA256,
	 {S3_EMPTY, S3_DATE, S3_HOST},
	 "host;x-amz-content-sha256;x-amz-date",
	 "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

#define HOST {"host", "example.amazonaws.com"}
#define DATE {"x-amz-date", "20150830T123600Z"}
#define FORM "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"

static const struct vector suite_vectors[] = {
	{"get-vanilla", "GET", "/", "", EMPTY_SHA256, {HOST, DATE}, "host;x-amz-date",
	 "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	{"get-vanilla-query-order-key-case", "GET", "/", "Param2=value2&Param1=value1", EMPTY_SHA256,
	 {HOST, DATE}, "host;x-amz-date",
	 "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
	{"get-vanilla-query-order-key", "GET", "/", "Param1=value2&Param1=Value1", EMPTY_SHA256,
	 {HOST, DATE}, "host;x-amz-date",
	 "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1"},
	{"get-vanilla-query-order-value", "GET", "/", "Param1=value2&Param1=value1", EMPTY_SHA256,
	 {HOST, DATE}, "host;x-amz-date",
	 "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
	{"get-utf8", "GET", "/%E1%88%B4", "", EMPTY_SHA256, {HOST, DATE}, "host;x-amz-date",
	 "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
	{"get-vanilla-utf8-query", "GET", "/", "%E1%88%B4=bar", EMPTY_SHA256, {HOST, DATE},
	 "host;x-amz-date", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
	{"get-header-key-duplicate", "GET", "/", "", EMPTY_SHA256,
	 {HOST, {"my-header1", "value2"}, {"my-header1", "value2"}, {"my-header1", "value1"}, DATE},
	 "host;my-header1;x-amz-date",
	 "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
	{"get-header-value-order", "GET", "/", "", EMPTY_SHA256,
	 {HOST, {"my-header1", "value4"}, {"my-header1", "value1"}, {"my-header1", "value3"},
	  {"my-header1", "value2"}, DATE},
	 "host;my-header1;x-amz-date",
	 "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
	{"get-header-value-trim", "GET", "/", "", EMPTY_SHA256,
	 {HOST, {"my-header1", " value1"}, {"my-header2", " \"a   b   c\""}, DATE},
	 "host;my-header1;my-header2;x-amz-date",
	 "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
	{"get-unreserved", "GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "",
	 EMPTY_SHA256, {HOST, DATE}, "host;x-amz-date",
	 "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
	{"post-vanilla", "POST", "/", "", EMPTY_SHA256, {HOST, DATE}, "host;x-amz-date",
	 "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
	{"post-header-value-case", "POST", "/", "", EMPTY_SHA256, {HOST, {"my-header1", "VALUE1"}, DATE},
	 "host;my-header1;x-amz-date",
	 "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
	{"post-header-key-sort", "POST", "/", "", EMPTY_SHA256, {HOST, {"my-header1", "value1"}, DATE},
	 "host;my-header1;x-amz-date",
	 "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
	{"post-x-www-form-urlencoded", "POST", "/", "", FORM,
	 {{"content-type", "application/x-www-form-urlencoded"}, HOST, DATE},
	 "content-type;host;x-amz-date",
	 "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
	{"post-sts-header-before", "POST", "/", "", EMPTY_SHA256,
	 {HOST, DATE,
	  {"x-amz-security-token",
	   "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeo"
	   "IYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5V"
	   "SXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yj"
	   "c8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="}},
	 "host;x-amz-date;x-amz-security-token",
	 "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
};

static int authorize(const struct vector *v, bool s3, const struct credentials *key, struct sigv4_cache *cache,
		     struct buf *out)
{
	struct sigv4_header headers[HEADERS];
	size_t count = 0;

	for (; count < HEADERS && v->headers[count].name; count++)
		headers[count] = v->headers[count];
	const struct sigv4_request request = {
		.method = v->method,
		.path = v->path,
		.query = v->query,
		.headers = headers,
		.headers_count = count,
		.payload_sha256 = v->payload,
		.region = "us-east-1",
		.service = s3 ? "s3" : "service",
		.time = s3 ? S3_DAY : SUITE_DAY,
	};
	return sigv4_authorization(&request, key, cache, out);
}

static void check(const struct vector *v, bool s3, struct sigv4_cache *cache)
{
	const struct credentials *key = s3 ? &s3_key : &suite_key;
	AUTO_BUF struct buf got = BUF_EMPTY, want = BUF_EMPTY;

	buf_printf(&want, "AWS4-HMAC-SHA256 Credential=%s/%s/us-east-1/%s/aws4_request, SignedHeaders=%s, "
		   "Signature=%s", key->access_key, s3 ? "20130524" : "20150830", s3 ? "s3" : "service",
		   v->names, v->signature);
	assert_int_equal(authorize(v, s3, key, cache, &got), 0);
	if (strcmp(buf_string(&got), want.data) != 0)
		print_message("vector: %s\n", v->name);
	assert_string_equal(buf_string(&got), want.data);
}

/* One cache for both: it must notice that key, day and service are others. */
static void test_vectors(void **state)
{
	(void)state;
	struct sigv4_cache cache = {.of = ""};

	for (size_t i = 0; i < sizeof(suite_vectors) / sizeof(suite_vectors[0]); i++) {
		check(&suite_vectors[i], false, &cache);
		check(&s3_vectors[i % (sizeof(s3_vectors) / sizeof(s3_vectors[0]))], true, &cache);
	}
	check(&s3_vectors[0], true, &cache);
	check(&s3_vectors[1], true, &cache);
}

static void test_colon_in_access_key(void **state)
{
	(void)state;
	const struct credentials swift = {.access_key = "test:tester", .secret = "testing"};
	struct sigv4_cache cache = {.of = ""};
	AUTO_BUF struct buf got = BUF_EMPTY;

	assert_int_equal(authorize(&s3_vectors[0], true, &swift, &cache, &got), 0);
	assert_non_null(strstr(got.data, "Credential=test:tester/20130524/us-east-1/s3/aws4_request,"));
	assert_null(strstr(got.data, "testing"));
	assert_null(strstr(cache.of, "testing"));
}

/* Pairs are ordered by name, then value, also where '-' and digits sort before '='. */
static void test_query_order(void **state)
{
	(void)state;
	static const char *const same[][2] = {
		{"a=1&a-b=2", "a-b=2&a=1"},
		{"a=&b=2", "b=2&a"},
		{"a1=x&a=y&a.b=z", "a.b=z&a=y&a1=x"},
		{"uploadId=x&partNumber=1", "partNumber=1&uploadId=x"},
		{"a=1&b=2", "&a=1&&b=2&"},
	};
	struct sigv4_cache cache = {.of = ""};

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		AUTO_BUF struct buf one = BUF_EMPTY, other = BUF_EMPTY;
		struct vector v = suite_vectors[0];

		v.query = same[i][0];
		assert_int_equal(authorize(&v, false, &suite_key, &cache, &one), 0);
		v.query = same[i][1];
		assert_int_equal(authorize(&v, false, &suite_key, &cache, &other), 0);
		assert_string_equal(one.data, other.data);
	}
}

static void test_refused(void **state)
{
	(void)state;
	static const struct sigv4_header bad[] = {
		{"x-a", "a\r\nx-evil: 1"}, {"x-a", "a\nb"}, {"x-a", "a\x7f"}, {"X-A", "a"}, {"", "a"},
		{"x a", "a"},		   {"x:a", "a"},    {"x-a\n", "a"},
	};
	struct sigv4_cache cache = {.of = ""};
	char query[1024] = "";

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		AUTO_BUF struct buf got = BUF_EMPTY;
		struct vector v = suite_vectors[0];

		v.headers[2] = bad[i];
		assert_int_equal(authorize(&v, false, &suite_key, &cache, &got), -EINVAL);
		assert_string_equal(buf_string(&got), "");
	}
	for (int i = 0; i < 100; i++)
		snprintf(query + strlen(query), sizeof(query) - strlen(query), "&a%d", i);
	struct vector v = suite_vectors[0];
	AUTO_BUF struct buf got = BUF_EMPTY;
	v.query = query;
	assert_int_equal(authorize(&v, false, &suite_key, &cache, &got), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_colon_in_access_key),
		cmocka_unit_test(test_query_order),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
