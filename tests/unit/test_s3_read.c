/* get, head, list of the S3 client, against a server that plays scripts. */
#include "s3_fixture.h"

#define GET_KEY "GET /media/sys/a/b.png"

static struct fixture fixture;

static int setup(void **state)
{
	*state = &fixture;
	fixture_environment();
	fixture_open(&fixture, &(struct bucket_config){.path_style = -1});
	return 0;
}

static int teardown(void **state)
{
	fixture_close(*state);
	return 0;
}

static void test_get(void **state)
{
	struct fixture *f = *state;
	struct memory m = {.begun = 0};

	SCRIPT(f, {GET_KEY, 200,
		   "ETag: \"e1\"\r\nLast-Modified: Thu, 29 Feb 2024 23:59:59 GMT\r\nX-Amz-Meta-Mode: 33188\r\n"
		   "x-amz-meta-UID: 5\r\nx-amz-meta-gid: 6\r\nX-Amz-Meta-Mtime: 1700000000.5\r\n", "hello"},
	       {GET_KEY, 200, "ETag: \"e2\"\r\nx-amz-meta-mtime: 1700000000.123456789\r\n", ""},
	       {GET_KEY, 200, "ETag: W/\"e3\"\r\nx-amz-meta-mode: nonsense\r\nx-amz-meta-mtime: x\r\n", "x"});
	assert_int_equal(fetch(f, "a/b.png", 0, 0, NULL, &m), 0);
	assert_null(server_header(f->last, "range"));
	assert_null(server_header(f->last, "if-match"));
	assert_string_equal(buf_string(&m.bytes), "hello");
	assert_string_equal(m.object.etag, "e1");
	assert_int_equal(m.object.size_bytes, 5);
	assert_true(m.object.mtime_ns == INT64_C(1709251199000000000));
	assert_true(m.object.attrs.valid);
	assert_int_equal(m.object.attrs.mode, 0100644);
	assert_int_equal(m.object.attrs.uid, 5);
	assert_int_equal(m.object.attrs.gid, 6);
	assert_true(m.object.attrs.mtime_ns == INT64_C(1700000000500000000));
	assert_int_equal(fetch(f, "a/b.png", 0, 0, NULL, &m), 0);
	assert_int_equal(m.begun, 1);
	assert_int_equal(m.object.size_bytes, 0);
	assert_false(m.object.attrs.valid);
	assert_true(m.object.attrs.mtime_ns == INT64_C(1700000000123456789));
	assert_int_equal(fetch(f, "a/b.png", 0, 0, NULL, &m), 0);
	assert_string_equal(m.object.etag, "e3");
	assert_false(m.object.attrs.valid);
	assert_true(m.object.attrs.mtime_ns == 0);
	script_end(f);
	buf_destroy(&m.bytes);
}

/* What is asked, what is answered, what it comes to. The object is "0123456789". */
static const struct ranged {
	uint64_t offset, length;
	const char *etag, *range; /* the range header that must have been sent */
	struct step step;
	int result;
	const char *bytes;
	bool again;
} rangeds[] = {
	{2, 3, "e", "bytes=2-4", {GET_KEY, 206, "ETag: \"e\"\r\nContent-Range: bytes 2-4/10\r\n", "234"}, 0, "234", false},
	{2, 0, NULL, "bytes=2-", {GET_KEY, 206, "Content-Range: bytes 2-9/10\r\n", "23456789"}, 0, "23456789", false},
	{8, 100, NULL, "bytes=8-107", {GET_KEY, 206, "Content-Range: bytes 8-9/10\r\n", "89"}, 0, "89", false},
	{0, 10, NULL, "bytes=0-9", {GET_KEY, 206, "Content-Range: bytes 0-9/10\r\n", "0123456789"}, 0, "0123456789",
	 false},
	/* The server does not know ranges. */
	{2, 3, "e", "bytes=2-4", {GET_KEY, 200, "ETag: e\r\n", "0123456789"}, 0, "234", false},
	{2, 0, NULL, "bytes=2-", {GET_KEY, 200, NULL, "0123456789"}, 0, "23456789", false},
	{0, 3, NULL, "bytes=0-2", {GET_KEY, 200, NULL, "0123456789"}, 0, "012", false},
	{10, 0, NULL, "bytes=10-", {GET_KEY, 200, NULL, "0123456789"}, 0, "", false},
	{10, 1, NULL, "bytes=10-10", {GET_KEY, 200, NULL, "0123456789"}, -EPROTO, "", false},
	{11, 0, NULL, "bytes=11-", {GET_KEY, 200, NULL, "0123456789"}, -EPROTO, "", false},
	/* Another range, another version, another length. */
	{2, 3, NULL, "bytes=2-4", {GET_KEY, 206, "Content-Range: bytes 0-2/10\r\n", "012"}, -EPROTO, "", true},
	{2, 3, NULL, "bytes=2-4", {GET_KEY, 206, "Content-Range: bytes 2-3/10\r\n", "23"}, -EPROTO, "", true},
	{2, 3, NULL, "bytes=2-4", {GET_KEY, 206, "Content-Range: bytes 2-5/10\r\n", "2345"}, -EPROTO, "", true},
	{2, 3, NULL, "bytes=2-4", {GET_KEY, 206, "Content-Range: bytes 2-4/*\r\n", "234"}, -EPROTO, "", true},
	{2, 3, NULL, "bytes=2-4", {GET_KEY, 206, NULL, "234"}, -EPROTO, "", true},
	{2, 3, NULL, "bytes=2-4", {GET_KEY, 206, "Content-Range: bytes 2-4/10\r\n", "2345"}, -EPROTO, "", true},
	{2, 3, NULL, "bytes=2-4", {GET_KEY, 206, "Content-Type: multipart/byteranges; boundary=x\r\n", "--x\r\n"},
	 -EPROTO, "", true},
	{0, 0, NULL, NULL, {GET_KEY, 206, "Content-Range: bytes 0-9/10\r\n", "0123456789"}, -EPROTO, "", true},
	{2, 3, "e", "bytes=2-4", {GET_KEY, 206, "ETag: \"f\"\r\nContent-Range: bytes 2-4/10\r\n", "234"}, -ESTALE, "",
	 false},
	{0, 0, "e", NULL, {GET_KEY, 200, "ETag: \"f\"\r\n", "0123456789"}, -ESTALE, "", false},
	{0, 0, "e", NULL, {GET_KEY, 200, NULL, "0123456789"}, -EPROTO, "", false},
	{0, 0, "e", NULL, {GET_KEY, 412, NULL, ERROR_XML("PreconditionFailed")}, -ESTALE, "", false},
	{0, 0, "e", NULL, {GET_KEY, 412, NULL, ""}, -ESTALE, "", false},
	{20, 5, NULL, "bytes=20-24", {GET_KEY, 416, "Content-Range: bytes */10\r\n", ERROR_XML("InvalidRange")}, -EPROTO,
	 "", false},
	/* Statuses that are no object. */
	{0, 0, NULL, NULL, {GET_KEY, 204, NULL, ""}, -EPROTO, "", true},
	{0, 0, NULL, NULL, {GET_KEY, 203, NULL, "0123456789"}, -EPROTO, "", true},
	{0, 0, NULL, NULL, {GET_KEY, 304, NULL, ""}, -EPROTO, "", false},
	/* Bodies that are cut, or of unknown length. */
	{0, 0, NULL, NULL, {GET_KEY, 0, NULL, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234"}, -EPROTO, "01234", true},
	{0, 0, NULL, NULL, {GET_KEY, 0, NULL, "HTTP/1.0 200 OK\r\n\r\n0123456789"}, -EPROTO, "", true},
	{2, 3, NULL, "bytes=2-4", {GET_KEY, 0, NULL, "HTTP/1.0 206 OK\r\nContent-Range: bytes 2-4/10\r\n\r\n234"}, 0, "234",
	 false},
	{2, 3, NULL, "bytes=2-4", {GET_KEY, 0, NULL, "HTTP/1.0 206 OK\r\nContent-Range: bytes 2-4/10\r\n\r\n23"}, -EPROTO,
	 "23", true},
	{2, 3, NULL, "bytes=2-4", {GET_KEY, 0, NULL, "HTTP/1.0 206 OK\r\nContent-Range: bytes 2-4/10\r\n\r\n2345"}, -EPROTO,
	 "", true},
	{0, 0, NULL, NULL, {GET_KEY, 0, NULL, "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"}, -EPROTO, "", true},
	{0, 0, NULL, NULL, {GET_KEY, 0, NULL, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
			    "3\r\nabc\r\n0\r\n\r\n"}, -EPROTO, "abc", true},
};

static void test_get_ranges(void **state)
{
	struct fixture *f = *state;
	struct memory m = {.begun = 0};

	for (size_t i = 0; i < COUNT(rangeds); i++) {
		const struct ranged *r = &rangeds[i];

		script(f, &r->step, 1);
		int got = fetch(f, "a/b.png", r->offset, r->length, r->etag, &m);
		if (got != r->result || strcmp(buf_string(&m.bytes), r->bytes) != 0)
			print_message("case %zu: %d %s\n", i, got, bucket_why());
		assert_int_equal(got, r->result);
		assert_string_equal(buf_string(&m.bytes), r->bytes);
		assert_false(m.gap);
		assert_true(m.begun <= 1);
		if (r->result) {
			assert_int_equal(fault_of_thread()->again, r->again);
			assert_true(strlen(bucket_why()) > 10);
		} else {
			assert_int_equal(m.begun, 1);
			assert_int_equal(m.object.size_bytes, 10);
		}
		if (r->range)
			assert_string_equal(server_header(f->last, "range"), r->range);
		else
			assert_null(server_header(f->last, "range"));
		if (r->etag)
			assert_string_equal(server_header(f->last, "if-match"), "\"e\"");
		script_end(f);
	}
	buf_destroy(&m.bytes);
}

static void test_sink_ends_it(void **state)
{
	struct fixture *f = *state;
	struct memory m = {.fail_begin = -ECANCELED};

	SCRIPT(f, {GET_KEY, 200, NULL, "hello"}, {GET_KEY, 200, NULL, "hello"});
	assert_int_equal(fetch(f, "a/b.png", 0, 0, NULL, &m), -ECANCELED);
	assert_int_equal(m.bytes.length, 0);
	m.fail_begin = 0;
	m.fail_take = -ENOSPC;
	assert_int_equal(fetch(f, "a/b.png", 0, 0, NULL, &m), -ENOSPC);
	assert_false(fault_of_thread()->again);
	script_end(f);
	buf_destroy(&m.bytes);
}

/* Every byte but A-Za-z0-9-._~ and '/' is encoded, once, on the wire as in the signature. */
static void test_keys(void **state)
{
	struct fixture *f = *state;
	static const char *const keys[][2] = {
		{"a b+c%d", "GET /media/sys/a%20b%2Bc%25d"},
		{"x@1x.png", "GET /media/sys/x%401x.png"},
		{"q?a=b&c#d", "GET /media/sys/q%3Fa%3Db%26c%23d"},
		{"\xc3\xa9/\xff\x01", "GET /media/sys/%C3%A9/%FF%01"},
		{"a/.../b", "GET /media/sys/a/.../b"},
		{"~!*'()", "GET /media/sys/~%21%2A%27%28%29"},
	};
	struct memory m = {.begun = 0};

	for (size_t i = 0; i < COUNT(keys); i++) {
		struct step step = {keys[i][1], 200, NULL, "x"};

		script(f, &step, 1);
		assert_int_equal(fetch(f, keys[i][0], 0, 0, NULL, &m), 0);
		script_end(f);
	}
	buf_destroy(&m.bytes);
}

/* -- head -- */

#define HEAD_KEY "HEAD /media/sys/a/b.png"

static void test_head(void **state)
{
	struct fixture *f = *state;
	struct object o;

	SCRIPT(f, {HEAD_KEY, 200, "Content-Length: 123456789012\r\nETag: \"e\"\r\nX-AMZ-META-MODE: 100600\r\n", NULL});
	assert_int_equal(f->bucket.ops->head(f->s3, "a/b.png", &o), 0);
	assert_true(o.size_bytes == UINT64_C(123456789012));
	assert_string_equal(o.etag, "e");
	assert_int_equal(o.attrs.mode, 0100600);
	script_end(f);
}

/* A HEAD has no error body: the reason is asked for with a GET of one byte. */
static void test_head_explained(void **state)
{
	struct fixture *f = *state;
	static const struct {
		int status;
		struct step second;
		int result;
		bool again;
		const char *words;
	} cases[] = {
		{404, {GET_KEY, 404, NULL, ERROR_XML("NoSuchKey")}, -ENOENT, false, "no such object"},
		{404, {GET_KEY, 404, NULL, ERROR_XML("NoSuchBucket")}, -ENODEV, false, "no bucket"},
		{403, {GET_KEY, 403, NULL, ERROR_XML("SignatureDoesNotMatch")}, -EACCES, false, "secret key"},
		{400, {GET_KEY, 400, NULL, ERROR_XML("ExpiredToken")}, -EACCES, false, "expired"},
		{404, {GET_KEY, 206, "Content-Range: bytes 0-0/9\r\n", "x"}, -EPROTO, true, "differently"},
		{404, {GET_KEY, 416, NULL, ERROR_XML("InvalidRange")}, -EPROTO, true, "differently"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct step steps[] = {{HEAD_KEY, cases[i].status, "Content-Length: 231\r\n", NULL}, cases[i].second};
		struct object o;

		script(f, steps, 2);
		assert_int_equal(f->bucket.ops->head(f->s3, "a/b.png", &o), cases[i].result);
		assert_int_equal(fault_of_thread()->again, cases[i].again);
		assert_non_null(strstr(bucket_why(), cases[i].words));
		script_end(f);
	}
	SCRIPT(f, {HEAD_KEY, 503, "Content-Length: 9\r\nRetry-After: 7\r\n", NULL});
	struct object o;
	assert_int_equal(f->bucket.ops->head(f->s3, "a/b.png", &o), -EHOSTDOWN);
	assert_true(fault_of_thread()->again);
	assert_int_equal(fault_of_thread()->retry_after_ms, 7000);
	script_end(f);
}

/* -- list -- */

#define PAGE(inside) XML_HEAD "<ListBucketResult><EncodingType>url</EncodingType>" inside "</ListBucketResult>"
#define ENTRY(key) "<Contents><Key>" key "</Key><Size>1</Size><ETag>\"e\"</ETag></Contents>"
#define LIST "GET /media?list-type=2&encoding-type=url"

static void test_list(void **state)
{
	struct fixture *f = *state;
	struct list_request q = {.prefix = "a b/", .delimiter = true, .after = "a b/x+y", .page_max = 7};
	struct list_page page;

	SCRIPT(f, {LIST "&delimiter=%2F&max-keys=7&prefix=sys%2Fa%20b%2F&start-after=sys%2Fa%20b%2Fx%2By", 200, NULL,
		   PAGE("<IsTruncated>true</IsTruncated><NextContinuationToken>t/+=&amp;</NextContinuationToken>"
			ENTRY("sys%2Fa+b%2Fz") "<CommonPrefixes><Prefix>sys/a%20b/d/</Prefix></CommonPrefixes>")},
	       {LIST "&delimiter=%2F&max-keys=7&prefix=sys%2Fa%20b%2F&continuation-token=t%2F%2B%3D%26", 200, NULL,
		PAGE("<IsTruncated>false</IsTruncated>")});
	assert_int_equal(f->bucket.ops->list(f->s3, &q, &page), 0);
	assert_int_equal(page.count, 2);
	assert_string_equal(page.entries[0].key, "a b/z");
	assert_int_equal(page.entries[0].key_bytes, 5);
	assert_string_equal(page.entries[1].key, "a b/d/");
	assert_true(page.entries[1].folder);
	char *token = page.token;
	page.token = NULL;
	list_page_destroy(&page);
	q.token = token;
	assert_int_equal(f->bucket.ops->list(f->s3, &q, &page), 0);
	assert_int_equal(page.count, 0);
	assert_null(page.token);
	list_page_destroy(&page);
	free(token);
	script_end(f);
}

static void test_list_broken(void **state)
{
	struct fixture *f = *state;
	static const struct {
		struct step step;
		int result;
		bool again;
	} cases[] = {
		{{NULL, 200, NULL, PAGE(ENTRY("elsewhere/x"))}, -EPROTO, true},
		{{NULL, 200, NULL, PAGE(ENTRY("sys/b/x"))}, -EPROTO, true},
		{{NULL, 200, NULL, PAGE(ENTRY("s"))}, -EPROTO, true},
		{{NULL, 200, NULL, "<ListBucketResult><Contents>"}, -EPROTO, true},
		{{NULL, 200, NULL, "<html>login</html>"}, -EPROTO, true},
		{{NULL, 200, NULL, ""}, -EPROTO, true},
		{{NULL, 200, NULL, PAGE("<IsTruncated>true</IsTruncated>")}, -EPROTO, true},
		{{NULL, 200, NULL, PAGE("<IsTruncated>true</IsTruncated><NextContinuationToken>same"
					"</NextContinuationToken>")}, -EPROTO, true},
		{{NULL, 404, NULL, ERROR_XML("NoSuchBucket")}, -ENODEV, false},
		{{NULL, 404, NULL, "<html>nothing</html>"}, -ENODEV, false},
		{{NULL, 403, NULL, ERROR_XML("AccessDenied")}, -EACCES, false},
		{{NULL, 500, NULL, ERROR_XML("InternalError")}, -EHOSTDOWN, true},
	};
	struct list_request q = {.prefix = "a/", .token = "same"};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct list_page page = {.count = 7};

		script(f, &cases[i].step, 1);
		assert_int_equal(f->bucket.ops->list(f->s3, &q, &page), cases[i].result);
		assert_int_equal(fault_of_thread()->again, cases[i].again);
		assert_int_equal(page.count, 0);
		assert_null(page.entries);
		script_end(f);
	}
}

/* 403 on a read: a missing key to those who may not list, else a refusal. Which of them is asked once. */
static void test_denied(void **state)
{
	(void)state;
	struct memory m = {.begun = 0};
	struct fixture may, may_not;

	fixture_open(&may_not, &(struct bucket_config){.path_style = -1});
	{
		SCRIPT(&may_not, {GET_KEY, 403, NULL, ERROR_XML("AccessDenied")},
		       {LIST "&max-keys=1&prefix=sys%2F", 403, NULL, ERROR_XML("AccessDenied")},
		       {GET_KEY, 403, NULL, ERROR_XML("AccessDenied")}, {HEAD_KEY, 403, NULL, NULL},
		       {GET_KEY, 403, NULL, ERROR_XML("AccessDenied")},
		       {GET_KEY, 403, NULL, ERROR_XML("InvalidAccessKeyId")});
		struct object o;
		assert_int_equal(fetch(&may_not, "a/b.png", 0, 0, NULL, &m), -ENOENT);
		assert_int_equal(fetch(&may_not, "a/b.png", 0, 0, NULL, &m), -ENOENT);
		assert_int_equal(may_not.bucket.ops->head(may_not.s3, "a/b.png", &o), -ENOENT);
		assert_int_equal(fetch(&may_not, "a/b.png", 0, 0, NULL, &m), -EACCES);
		script_end(&may_not);
	}
	fixture_close(&may_not);
	fixture_open(&may, &(struct bucket_config){.path_style = -1});
	{
		SCRIPT(&may, {GET_KEY, 403, NULL, ERROR_XML("AccessDenied")}, {NULL, 200, NULL, PAGE("")},
		       {GET_KEY, 403, NULL, ERROR_XML("AccessDenied")});
		assert_int_equal(fetch(&may, "a/b.png", 0, 0, NULL, &m), -EACCES);
		assert_int_equal(fetch(&may, "a/b.png", 0, 0, NULL, &m), -EACCES);
		assert_string_equal(fault_of_thread()->code, "AccessDenied");
		script_end(&may);
	}
	fixture_close(&may);
	buf_destroy(&m.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),	       cmocka_unit_test(test_get_ranges),
		cmocka_unit_test(test_sink_ends_it),   cmocka_unit_test(test_keys),
		cmocka_unit_test(test_head),	       cmocka_unit_test(test_head_explained),
		cmocka_unit_test(test_list),	       cmocka_unit_test(test_list_broken),
		cmocka_unit_test(test_denied),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
