/* The S3 client as a whole: configuration, regions, clocks and credentials, against a server that plays scripts. */
#include "s3_fixture.h"
#include <sys/stat.h>
#include "cache/base/clock.h"

static int probe(struct fixture *f)
{
	return f->bucket.ops->probe(f->s3);
}

#define PROBE "/media?list-type=2&encoding-type=url&max-keys=1&prefix=sys%2F"
#define EMPTY "<ListBucketResult/>"
#define REGION_ERROR(code, region) XML_HEAD "<Error><Code>" code "</Code><Region>" region "</Region></Error>"

static const struct bucket_config plain = {.path_style = -1};

/* -- opening -- */

static int open_with(const struct bucket_config *config)
{
	struct bucket_impl impl;
	int r = s3_bucket_open(config, &impl);

	if (r == 0) {
		impl.ops->close(impl.self);
		free(impl.identity);
	}
	return r;
}

static void test_identity(void **state)
{
	(void)state;
	static const struct {
		const char *spec, *endpoint, *region, *identity;
	} cases[] = {
		{"s3://media", NULL, NULL, "s3://amazonaws.com/media/"},
		{"s3://media", NULL, "eu-west-1", "s3://amazonaws.com/media/"},
		{"s3://media/x", "https://s3.eu-west-1.amazonaws.com", NULL, "s3://amazonaws.com/media/x/"},
		{"s3://media/x/", "https://H.example:9000/", NULL, "s3://h.example:9000/media/x/"},
		{"s3://media/x/", "http://h.example:80", NULL, "s3://h.example/media/x/"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct bucket_config config = plain;
		struct bucket_impl impl;

		config.spec = cases[i].spec;
		config.endpoint = cases[i].endpoint;
		config.region = cases[i].region;
		assert_int_equal(s3_bucket_open(&config, &impl), 0);
		assert_string_equal(impl.identity, cases[i].identity);
		assert_int_equal(impl.key_bytes_max, 1024 - (strchr(cases[i].spec + 5, '/') ? 2 : 0));
		impl.ops->close(impl.self);
		free(impl.identity);
	}
}

static void test_refused_at_open(void **state)
{
	(void)state;
	struct bucket_config config = plain;

	config.spec = "s3://media";
	config.endpoint = "https://h/media";
	assert_int_equal(open_with(&config), -EINVAL);
	assert_non_null(strstr(bucket_why(), "includes a path"));
	config.endpoint = NULL;
	config.rules = "/nonexistent/rules";
	assert_true(open_with(&config) < 0);
	config.rules = NULL;
	config.credentials = "/nonexistent/credentials";
	assert_true(open_with(&config) < 0);
	config.credentials = NULL;
	assert_int_equal(open_with(&config), 0);
}

static void test_stopped(void **state)
{
	(void)state;
	struct fixture f;

	fixture_open(&f, &plain);
	f.bucket.ops->stop(f.s3);
	assert_int_equal(probe(&f), -ECANCELED);
	assert_false(fault_of_thread()->again);
	assert_int_equal(f.server->requests, 0);
	fixture_close(&f);
}

/* -- reaching it -- */

static void test_unreachable(void **state)
{
	(void)state;
	struct fixture f;

	fixture_open(&f, &plain);
	server_stop(f.server);
	assert_int_equal(probe(&f), -EHOSTDOWN);
	assert_true(fault_of_thread()->again);
	assert_non_null(strstr(bucket_why(), "127.0.0.1"));
	assert_int_equal(fault_of_thread()->http_status, 0);
	f.server = server_start(play, &f);
	fixture_close(&f);
}

/* A server that takes the request and says nothing: an end comes, and it may be tried again. */
static bool answer_never(struct server *s, struct server_request *q)
{
	(void)q;
	while (!s->stopping)
		server_sleep_ms(10);
	return false;
}

static void test_silent(void **state)
{
	(void)state;
	struct bucket_config config = plain;
	struct fixture f;

	config.io_timeout_ms = 1000;
	fixture_open(&f, &config);
	f.server->answer = answer_never;
	int64_t before = clock_ms();
	assert_int_equal(probe(&f), -EHOSTDOWN);
	assert_true(clock_ms() - before < 5000);
	assert_true(fault_of_thread()->again);
	fixture_close(&f);
}

/* -- regions -- */

/* Only the signature names the region: followed at any server, and remembered. */
static void test_region_of_signature(void **state)
{
	(void)state;
	struct fixture f;

	fixture_open(&f, &plain);
	{
		SCRIPT(&f, {"GET " PROBE, 400, NULL, REGION_ERROR("AuthorizationHeaderMalformed", "fr-par")},
		       {"GET " PROBE, 200, NULL, EMPTY}, {"GET " PROBE, 200, NULL, EMPTY});
		assert_int_equal(probe(&f), 0);
		assert_non_null(strstr(server_header(f.last, "authorization"), "/fr-par/s3/aws4_request"));
		assert_int_equal(probe(&f), 0);
		assert_non_null(strstr(server_header(f.last, "authorization"), "/fr-par/s3/aws4_request"));
		script_end(&f);
	}
	{
		SCRIPT(&f, {NULL, 400, NULL, REGION_ERROR("AuthorizationHeaderMalformed", "fr-par")});
		assert_int_equal(probe(&f), -EACCES);
		assert_non_null(strstr(bucket_why(), "region=fr-par"));
		script_end(&f);
	}
	{
		SCRIPT(&f, {NULL, 400, NULL, REGION_ERROR("AuthorizationHeaderMalformed", "../evil")});
		assert_int_equal(probe(&f), -EACCES);
		script_end(&f);
	}
	fixture_close(&f);
}

/* A redirect of another server is not followed, but says what to configure. */
static void test_redirect_elsewhere(void **state)
{
	(void)state;
	static const struct {
		struct step step;
		const char *words;
	} cases[] = {
		{{NULL, 301, "x-amz-bucket-region: eu-1\r\n", ERROR_XML("PermanentRedirect")}, "set region=eu-1"},
		{{NULL, 301, NULL, REGION_ERROR("PermanentRedirect", "eu-2")}, "set region=eu-2"},
		{{NULL, 301, NULL, XML_HEAD "<Error><Code>PermanentRedirect</Code><Endpoint>b.example</Endpoint></Error>"},
		 "set endpoint=b.example"},
		{{NULL, 307, "Location: http://other.example/x?signature=1\r\n", ""}, "http://other.example/x "},
		{{NULL, 302, "Location: https://login.example/\r\n", "<html>"}, "endpoint right"},
	};
	struct fixture f;

	fixture_open(&f, &plain);
	for (size_t i = 0; i < COUNT(cases); i++) {
		script(&f, &cases[i].step, 1);
		assert_int_equal(probe(&f), -ENODEV);
		if (!strstr(bucket_why(), cases[i].words))
			print_message("case %zu: %s\n", i, bucket_why());
		assert_non_null(strstr(bucket_why(), cases[i].words));
		assert_false(fault_of_thread()->again);
		script_end(&f);
	}
	fixture_close(&f);
}

/* Amazon's is followed: the server stands in for Amazon as an HTTP proxy. */
static void test_redirect_at_amazon(void **state)
{
	(void)state;
	struct bucket_config config = plain;
	struct fixture f;
	char proxy[64];

	config.endpoint = "http://s3.us-east-1.amazonaws.com";
	config.path_style = 0;
	fixture_open(&f, &config);
	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", f.server->port);
	setenv("http_proxy", proxy, 1);
	unsetenv("no_proxy");
#define AT(region) "GET http://media.s3." region ".amazonaws.com/?list-type=2&encoding-type=url&max-keys=1&prefix=sys%2F"
	{
		SCRIPT(&f, {AT("us-east-1"), 301, "x-amz-bucket-region: eu-west-1\r\n", ""},
		       {AT("eu-west-1"), 200, NULL, EMPTY}, {AT("eu-west-1"), 200, NULL, EMPTY});
		assert_int_equal(probe(&f), 0);
		assert_string_equal(server_header(f.last, "host"), "media.s3.eu-west-1.amazonaws.com");
		assert_int_equal(probe(&f), 0);
		script_end(&f);
	}
	{ /* the endpoint of the body, as of a bucket whose name is not yet known everywhere */
		SCRIPT(&f, {AT("eu-west-1"), 307, NULL,
			    XML_HEAD "<Error><Code>TemporaryRedirect</Code>"
				     "<Endpoint>media.s3-eu-west-3.amazonaws.com</Endpoint></Error>"},
		       {AT("eu-west-3"), 200, NULL, EMPTY});
		assert_int_equal(probe(&f), 0);
		script_end(&f);
	}
	{ /* never to another host */
		SCRIPT(&f, {AT("eu-west-3"), 307, "Location: http://evil.example/\r\n",
			    XML_HEAD "<Error><Code>TemporaryRedirect</Code><Endpoint>evil.example</Endpoint></Error>"});
		assert_int_equal(probe(&f), -ENODEV);
		script_end(&f);
	}
	{ /* in circles */
		SCRIPT(&f, {AT("eu-west-3"), 301, "x-amz-bucket-region: a-1\r\n", ""},
		       {AT("a-1"), 301, "x-amz-bucket-region: b-1\r\n", ""},
		       {AT("b-1"), 301, "x-amz-bucket-region: a-1\r\n", ""},
		       {AT("a-1"), 301, "x-amz-bucket-region: b-1\r\n", ""});
		assert_int_equal(probe(&f), -ENODEV);
		script_end(&f);
	}
	unsetenv("http_proxy");
	fixture_close(&f);
}

/* -- refusals in words -- */

static void http_date(char out[64], int64_t seconds_from_now)
{
	time_t t = (time_t)(clock_wall_ns() / 1000000000 + seconds_from_now);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, 64, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

static void test_clock(void **state)
{
	(void)state;
	static const struct {
		int seconds;
		const char *words;
	} cases[] = {
		{3 * 3600 + 125, "3 h 2 min behind the server's"},
		{-20 * 60 - 5, "20 min 5 s ahead of the server's"},
	};
	struct fixture f;

	fixture_open(&f, &plain);
	for (size_t i = 0; i < COUNT(cases); i++) {
		char headers[128], date[64];

		http_date(date, cases[i].seconds);
		snprintf(headers, sizeof(headers), "Date: %s\r\n", date);
		struct step step = {NULL, 403, headers, ERROR_XML("RequestTimeTooSkewed")};
		script(&f, &step, 1);
		assert_int_equal(probe(&f), -EACCES);
		/* The second may have changed in between. */
		if (!strstr(bucket_why(), "min 4 s") && !strstr(bucket_why(), "min 6 s"))
			assert_non_null(strstr(bucket_why(), cases[i].words));
		script_end(&f);
	}
	fixture_close(&f);
}

static void test_words(void **state)
{
	(void)state;
	static const struct {
		struct step step;
		int result;
		const char *words;
	} cases[] = {
		{{NULL, 403, NULL, ERROR_XML("InvalidAccessKeyId")}, -EACCES, "does not know this access key"},
		{{NULL, 403, NULL, ERROR_XML("SignatureDoesNotMatch")}, -EACCES, "secret key is wrong"},
		{{NULL, 403, NULL, ERROR_XML("AccessDenied")}, -EACCES, "lacks a permission"},
		{{NULL, 403, NULL, "<html>blocked by a firewall</html>"}, -EACCES, "access is denied"},
		{{NULL, 401, NULL, ""}, -EACCES, "other credentials"},
		{{NULL, 404, NULL, ERROR_XML("NoSuchBucket")}, -ENODEV, "no bucket of this name"},
		{{NULL, 403, NULL,
		  XML_HEAD "<Error><Code>SignatureDoesNotMatch</Code><Message>The request\x1b[2J signature</Message></Error>"},
		 -EACCES, "(HTTP 403 SignatureDoesNotMatch)"},
		{{NULL, 403, NULL,
		  XML_HEAD "<Error><Code>AccessDenied</Code><Message>no\nway</Message></Error>"},
		 -EACCES, "(HTTP 403 AccessDenied: no?way)"},
	};
	struct fixture f;

	fixture_open(&f, &plain);
	for (size_t i = 0; i < COUNT(cases); i++) {
		script(&f, &cases[i].step, 1);
		assert_int_equal(probe(&f), cases[i].result);
		if (!strstr(bucket_why(), cases[i].words) && i != 6)
			print_message("case %zu: %s\n", i, bucket_why());
		if (i != 6) /* an escape is not XML: the status counts */
			assert_non_null(strstr(bucket_why(), cases[i].words));
		assert_null(strchr(bucket_why(), '\x1b'));
		assert_null(strstr(bucket_why(), SECRET));
		assert_non_null(strstr(bucket_why(), "media"));
		script_end(&f);
	}
	fixture_close(&f);
}

static void test_retry_after(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		int64_t min_ms, max_ms;
	} cases[] = {
		{"0", 0, 0},	     {"5", 5000, 5000},		  {"99999999999999999999", 0, 0},
		{"-1", 0, 0},	     {"86400", 3600000, 3600000}, {"soon", 0, 0},
		{NULL, 8000, 10000},
	};
	struct fixture f;

	fixture_open(&f, &plain);
	for (size_t i = 0; i < COUNT(cases); i++) {
		char headers[128], date[64];

		http_date(date, 10);
		snprintf(headers, sizeof(headers), "Retry-After: %s\r\n", cases[i].value ? cases[i].value : date);
		struct step step = {NULL, 503, headers, ERROR_XML("SlowDown")};
		script(&f, &step, 1);
		assert_int_equal(probe(&f), -EHOSTDOWN);
		assert_true(fault_of_thread()->again);
		assert_in_range(fault_of_thread()->retry_after_ms, cases[i].min_ms, cases[i].max_ms);
		assert_string_equal(fault_of_thread()->code, "SlowDown");
		script_end(&f);
	}
	fixture_close(&f);
}

/* -- credentials that are replaced while we run -- */

#define OTHER_SECRET "other-secret"
static char key_file[] = "/tmp/tootfs-test-key-XXXXXX";

static void write_key(const char *secret)
{
	FILE *file = fopen(key_file, "w");

	assert(file);
	fprintf(file, "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", ACCESS_KEY, secret);
	fclose(file);
}

/* The first request is refused, and in the meantime somebody writes the new key. */
static void rotate(struct fixture *f, const struct server_request *q)
{
	if (q->number != f->first)
		return;
	write_key(OTHER_SECRET);
	f->secret = OTHER_SECRET;
}

static void test_rotation(void **state)
{
	(void)state;
	struct bucket_config config = plain;
	struct fixture f;
	int fd = mkstemp(key_file);

	assert_true(fd >= 0);
	close(fd);
	write_key(SECRET);
	config.credentials = key_file;
	fixture_open(&f, &config);
	{
		SCRIPT(&f, {NULL, 403, NULL, ERROR_XML("InvalidAccessKeyId")}, {NULL, 200, NULL, EMPTY},
		       {NULL, 403, NULL, ERROR_XML("InvalidAccessKeyId")});
		f.on_request = rotate;
		assert_int_equal(probe(&f), 0);
		f.on_request = NULL;
		assert_int_equal(probe(&f), -EACCES); /* the same key again: not asked twice */
		script_end(&f);
	}
	fixture_close(&f);
	unlink(key_file);
}

/* -- many at once -- */

static void *get_many(void *arg)
{
	struct fixture *f = arg;
	struct memory m = {.begun = 0};

	for (int i = 0; i < 20; i++)
		if (fetch(f, "a", 0, 0, NULL, &m) || strcmp(buf_string(&m.bytes), "hello") != 0)
			fixture_wrong(f, "get", bucket_why());
	buf_destroy(&m.bytes);
	return NULL;
}

static bool answer_hello(struct server *s, struct server_request *q)
{
	struct fixture *f = s->arg;

	pthread_mutex_lock(&f->mutex);
	check_signature(f, q);
	pthread_mutex_unlock(&f->mutex);
	server_reply(q, 200, "ETag: \"e\"\r\n", "hello");
	return true;
}

static void test_threads(void **state)
{
	(void)state;
	struct fixture f;
	pthread_t threads[8];

	fixture_open(&f, &plain);
	f.server->answer = answer_hello;
	for (size_t i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, get_many, &f), 0);
	for (size_t i = 0; i < COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	assert_string_equal(buf_string(&f.faults), "");
	assert_int_equal(f.server->requests, 160);
	assert_true(f.server->connections <= 4);
	fixture_close(&f);
}

static int environment(void **state)
{
	(void)state;
	fixture_environment();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity),	    cmocka_unit_test(test_refused_at_open),
		cmocka_unit_test(test_stopped),		    cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_silent),		    cmocka_unit_test(test_region_of_signature),
		cmocka_unit_test(test_redirect_elsewhere),  cmocka_unit_test(test_redirect_at_amazon),
		cmocka_unit_test(test_clock),		    cmocka_unit_test(test_words),
		cmocka_unit_test(test_retry_after),	    cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests(tests, environment, NULL);
}
