/* What a PUT left in the bucket, by its ETag and, where that is odd, by reading it back. */
#include "s3_fixture.h"

#define BYTES "seven--"
#define ODD   "00112233445566778899aabbccddeeff"

static void etag_line(char out[64], const char *etag)
{
	snprintf(out, 64, "ETag: \"%s\"\r\n", etag);
}

static void md5_of(const char *bytes, char out[33])
{
	unsigned char md5[16];

	assert_int_equal(EVP_Digest(bytes, strlen(bytes), md5, NULL, EVP_md5(), NULL), 1);
	hex_encode(out, md5, 16);
}

enum reply { NOT_ASKED, OURS, OTHERS, GONE, ANOTHER };

static const struct {
	const char *what, *etag, *more; /* etag NULL = the MD5 */
	bool verify;
	enum reply back;
	int result;
	bool used; /* afterwards */
} cases[] = {
	{"the MD5", NULL, "", true, NOT_ASKED, 0, true},
	{"no MD5, by its looks", "abc-1", "", true, NOT_ASKED, 0, true},
	{"no MD5, and the object is good", ODD, "", true, OURS, 0, false},
	{"no MD5, and the object is damaged", ODD, "", true, OTHERS, -EPROTO, true},
	{"no MD5, and the object is gone", ODD, "", true, GONE, -EPROTO, true},
	{"no MD5, and the object is another one", ODD, "", true, ANOTHER, -EPROTO, true},
	{"KMS", ODD, "x-amz-server-side-encryption: aws:kms\r\n", true, NOT_ASKED, 0, true},
	{"AES256 changes nothing", ODD, "x-amz-server-side-encryption: AES256\r\n", true, OTHERS, -EPROTO, true},
	{"not verified", ODD, "", false, NOT_ASKED, 0, false},
};

static void put_case(size_t i, bool known)
{
	static const struct bucket_config off = {.path_style = -1}, on = {.path_style = -1, .verify = true};
	static const char *const bodies[] = {"", BYTES, "seven-!", ERROR_XML("NoSuchKey"), ERROR_XML("PreconditionFailed")};
	static const int statuses[] = {0, 200, 200, 404, 412};
	char md5[33], line[64], headers[200];
	struct fixture f;
	struct object made;
	int fd = file_of(BYTES);

	md5_of(BYTES, md5);
	etag_line(line, cases[i].etag ? cases[i].etag : md5);
	snprintf(headers, sizeof(headers), "%s%s", line, cases[i].more);
	const struct step steps[] = {
		{"PUT /media/sys/a", 200, headers, ""},
		{"GET /media/sys/a", statuses[cases[i].back], line, bodies[cases[i].back]},
	};
	fixture_open(&f, cases[i].verify ? &on : &off);
	if (known)
		etags_fit(&f.s3->etags);
	script(&f, steps, cases[i].back == NOT_ASKED ? 1 : 2);
	const struct put_request request = {.key = "a", .fd = fd, .length = strlen(BYTES)};
	print_message("%s%s\n", cases[i].what, known ? ", where MD5s are the rule" : "");
	assert_int_equal(f.bucket.ops->put(f.s3, &request, &made), cases[i].result);
	assert_int_equal(fault_of_thread()->again, cases[i].result != 0);
	if (cases[i].result)
		assert_non_null(strstr(bucket_why(), md5));
	if (cases[i].back == ANOTHER || cases[i].back == OURS)
		assert_non_null(server_header(f.last, "if-match"));
	assert_int_equal(etags_in_use(&f.s3->etags), cases[i].used);
	script_end(&f);
	fixture_close(&f);
	close(fd);
}

static void puts_are_compared(void **state)
{
	(void)state;
	fixture_environment();
	for (int known = 0; known < 2; known++)
		for (size_t i = 0; i < COUNT(cases); i++)
			put_case(i, known);
}

/* Through the door: a damaged object is sent again, and what then fits is the answer. */
static void a_damaged_object_is_sent_again(void **state)
{
	char md5[33], line[64], odd[64];
	struct bucket_config config = {.path_style = -1, .verify = true};
	struct bucket *bucket;
	struct fixture f;
	struct object made;
	int fd = file_of(BYTES);

	(void)state;
	fixture_environment();
	md5_of(BYTES, md5);
	etag_line(line, md5);
	etag_line(odd, ODD);
	const struct step steps[] = {
		{"PUT /media/sys/a", 200, odd, ""}, {"GET /media/sys/a", 200, odd, "seven-!"},
		{"PUT /media/sys/a", 200, odd, ""}, {"GET /media/sys/a", 200, odd, "seven-?"},
		{"PUT /media/sys/a", 200, line, ""},
	};
	fixture_open(&f, &config);
	config.io_timeout_ms = 30000;
	struct bucket_impl impl = f.bucket;
	impl.identity = strdup("s3");
	assert_int_equal(bucket_open_over(&config, &impl, &bucket), 0);
	script(&f, steps, COUNT(steps));
	const struct put_request request = {.key = "a", .fd = fd, .length = strlen(BYTES)};
	assert_int_equal(bucket_put(bucket, &request, &made), 0);
	assert_string_equal(made.etag, md5);
	script_end(&f);
	bucket_stop(bucket);
	bucket_close(&bucket);
	server_stop(f.server);
	free(f.bucket.identity);
	free(f.last->body);
	free(f.last);
	buf_destroy(&f.faults);
	pthread_mutex_destroy(&f.mutex);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(puts_are_compared),
		cmocka_unit_test(a_damaged_object_is_sent_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
