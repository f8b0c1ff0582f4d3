/* The answers of those who hand out credentials: what is taken, what is refused, and that nothing of them is said. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "cache/bucket/answers.h"
#include "cache/bucket/ops.h"

#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define SECOND INT64_C(1000000000)
/* 2030-01-02T03:04:05Z */
#define A_TIME (INT64_C(1893553445) * SECOND)

static struct credentials key;

static void times(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} rows[] = {
	    {"2030-01-02T03:04:05Z", A_TIME},
	    {"2030-01-02T03:04:05.5Z", A_TIME + SECOND / 2},
	    {"2030-01-02T03:04:05+00:00", A_TIME},
	    {"2030-01-02T05:04:05+02:00", A_TIME},
	    {"2030-01-01T21:34:05.250-05:30", A_TIME + SECOND / 4},
	    {"2030-01-02T03:04:05", 0},
	    {"2030-01-02 03:04:05Z", 0},
	    {"2030-01-02T03:04:05+02:0", 0},
	    {"2030-01-02T03:04:05+24:00", 0},
	    {"2030-01-02T03:04:05+02-00", 0},
	    {"2030-13-02T03:04:05Z", 0},
	    {"1970-01-01T00:00:00+01:00", 0},
	    {"2030-01-02T03:04:05.000000000000000000000000Z", 0},
	    {"tomorrow", 0},
	    {"", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (answers_time(rows[i].text) != rows[i].ns)
			fail_msg("%s", rows[i].text);
}

struct row {
	const char *text;
	enum answers_dialect dialect;
	int result;
	const char *words; /* of the fault; on success the token */
	int64_t expires_ns;
};

static void check(const struct row *row, int r)
{
	if (r != row->result)
		fail_msg("%d of %s: %s", r, row->text, bucket_why());
	assert_null(strstr(bucket_why(), "MDENG"));
	if (r) {
		if (!strstr(bucket_why(), row->words))
			fail_msg("\"%s\" is not in \"%s\"", row->words, bucket_why());
		assert_true(strncmp(bucket_why(), "who", 3) == 0);
		assert_string_equal(key.secret, "");
		assert_string_equal(key.access_key, "");
		return;
	}
	assert_string_equal(key.access_key, "AKIA");
	assert_string_equal(key.secret, SECRET);
	assert_string_equal(key.token, row->words);
	assert_true(key.expires_ns == row->expires_ns);
}

#define KEY "\"AccessKeyId\":\"AKIA\",\"SecretAccessKey\":\"" SECRET "\""

static void json(void **state)
{
	static const struct row rows[] = {
	    {"{" KEY ",\"Token\":\"t\",\"Expiration\":\"2030-01-02T03:04:05Z\"}", ANSWERS_SERVICE, 0, "t",
	     A_TIME},
	    {"{\"Code\":\"Success\"," KEY ",\"LastUpdated\":1,\"Type\":{}}", ANSWERS_SERVICE, 0, "", 0},
	    {" {" KEY ",\"Token\":null,\"Expiration\":null} \n", ANSWERS_SERVICE, 0, "", 0},
	    {"{\"Code\":\"Failed\"," KEY "}", ANSWERS_SERVICE, -EACCES, "is an error, Failed", 0},
	    {"{\"Code\":\"" SECRET " x\"," KEY "}", ANSWERS_SERVICE, -EACCES, "is an error", 0},
	    {"{" KEY ",\"SessionToken\":\"t\"}", ANSWERS_SERVICE, 0, "", 0},
	    {"{\"Version\":1," KEY ",\"SessionToken\":\"t\"}", ANSWERS_PROCESS, 0, "t", 0},
	    {"{\"Version\":1," KEY ",\"Expiration\":\"2030-01-02T05:04:05+02:00\"}", ANSWERS_PROCESS, 0, "",
	     A_TIME},
	    {"{" KEY "}", ANSWERS_PROCESS, -EACCES, "Version 1", 0},
	    {"{\"Version\":2," KEY "}", ANSWERS_PROCESS, -EACCES, "Version 1", 0},
	    {"{\"Version\":\"1\"," KEY "}", ANSWERS_PROCESS, -EACCES, "Version 1", 0},
	    {"{" KEY ",\"Expiration\":\"soon\"}", ANSWERS_SERVICE, -EACCES, "is no time", 0},
	    {"{\"AccessKeyId\":\"AKIA\"}", ANSWERS_SERVICE, -EACCES, "no SecretAccessKey", 0},
	    {"{\"SecretAccessKey\":\"" SECRET "\"}", ANSWERS_SERVICE, -EACCES, "no AccessKeyId", 0},
	    {"{\"AccessKeyId\":[\"AKIA\"],\"SecretAccessKey\":\"" SECRET "\"}", ANSWERS_SERVICE, -EACCES,
	     "no AccessKeyId", 0},
	    {"[" SECRET "]", ANSWERS_SERVICE, -EACCES, "not the JSON", 0},
	    {"[{" KEY "}]", ANSWERS_SERVICE, -EACCES, "not the JSON", 0},
	    {"{" KEY "", ANSWERS_SERVICE, -EACCES, "not the JSON", 0},
	    {"{" KEY "}}", ANSWERS_SERVICE, -EACCES, "not the JSON", 0},
	    {"{\"AccessKeyId\":\"AK\\u0000IA\",\"SecretAccessKey\":\"" SECRET "\"}", ANSWERS_SERVICE,
	     -EACCES, "not the JSON", 0},
	    {"<html>" SECRET "</html>", ANSWERS_SERVICE, -EACCES, "not the JSON", 0},
	    {"", ANSWERS_SERVICE, -EACCES, "not the JSON", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i], answers_json(rows[i].text, strlen(rows[i].text), rows[i].dialect, "who",
					     &key));
}

#define CREDENTIALS(inner)                                                                                \
	"<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"         \
	"<AssumeRoleWithWebIdentityResult><Credentials>" inner                                            \
	"</Credentials><Audience>a</Audience></AssumeRoleWithWebIdentityResult>"                          \
	"</AssumeRoleWithWebIdentityResponse>"
#define ID "<AccessKeyId>AKIA</AccessKeyId>"
#define KEYS ID "<SecretAccessKey>" SECRET "</SecretAccessKey>"

static void sts(void **state)
{
	static const struct row rows[] = {
	    {CREDENTIALS(KEYS "<SessionToken>t</SessionToken><Expiration>2030-01-02T03:04:05Z</Expiration>"), 0,
	     0, "t", A_TIME},
	    {CREDENTIALS(KEYS), 0, 0, "", 0},
	    {CREDENTIALS(KEYS "<Expiration>never</Expiration>"), 0, -EACCES, "is no time", 0},
	    {CREDENTIALS(ID), 0, -EACCES, "no SecretAccessKey", 0},
	    {CREDENTIALS(""), 0, -EACCES, "no AccessKeyId", 0},
	    {"<AssumeRoleResponse>" KEYS "</AssumeRoleResponse>", 0, -EACCES, "not the XML", 0},
	    {"<AssumeRoleWithWebIdentityResponse>" KEYS, 0, -EACCES, "not the XML", 0},
	    {"<!DOCTYPE x [<!ENTITY a \"b\">]>" CREDENTIALS(KEYS), 0, -EACCES, "not the XML", 0},
	    {"{" KEY "}", 0, -EACCES, "not the XML", 0},
	    {"", 0, -EACCES, "not the XML", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i], answers_sts(rows[i].text, strlen(rows[i].text), "who", &key));
}

static void sizes(void **state)
{
	struct row row = {"long", ANSWERS_SERVICE, -EACCES, "too long", 0};
	char *text = malloc(2 * ANSWERS_BYTES_MAX);
	size_t length;

	(void)state;
	assert_non_null(text);
	strcpy(text, "{" KEY ",\"Token\":\"");
	length = strlen(text);
	memset(text + length, 't', sizeof(key.token));
	strcpy(text + length + sizeof(key.token), "\"}");
	check(&row, answers_json(text, strlen(text), ANSWERS_SERVICE, "who", &key));
	strcpy(text + length + sizeof(key.token) - 1, "\"}"); /* the longest */
	assert_int_equal(answers_json(text, strlen(text), ANSWERS_SERVICE, "who", &key), 0);
	strcpy(text, "{" KEY "}");
	memset(text + strlen(text), ' ', ANSWERS_BYTES_MAX);
	row.words = "not the JSON";
	check(&row, answers_json(text, ANSWERS_BYTES_MAX + 1, ANSWERS_SERVICE, "who", &key));
	memset(text, '[', ANSWERS_BYTES_MAX);
	check(&row, answers_json(text, ANSWERS_BYTES_MAX, ANSWERS_SERVICE, "who", &key));
	free(text);
}

static void codes(void **state)
{
	static const struct {
		const char *text, *json, *xml;
	} rows[] = {
	    {"{\"code\":\"Throttled\",\"message\":\"" SECRET "\"}", "Throttled", ""},
	    {"{\"Code\":\"Other.Code\"}", "Other.Code", ""},
	    {"{\"code\":\"two words\"}", "", ""},
	    {"{\"code\":5}", "", ""},
	    {"<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>" SECRET
	     "</Message></Error></ErrorResponse>",
	     "", "InvalidIdentityToken"},
	    {"<ErrorResponse><Error><Code>two words</Code></Error></ErrorResponse>", "", ""},
	    {"<Error><Code>A</Code></Error>", "", ""},
	    {"<ErrorResponse><Error><Code>A</Code>", "", ""},
	    {"nothing", "", ""},
	};
	char code[ANSWERS_CODE_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		answers_json_code(rows[i].text, strlen(rows[i].text), code);
		assert_string_equal(code, rows[i].json);
		answers_sts_code(rows[i].text, strlen(rows[i].text), code);
		assert_string_equal(code, rows[i].xml);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(times), cmocka_unit_test(json),  cmocka_unit_test(sts),
	    cmocka_unit_test(sizes), cmocka_unit_test(codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
