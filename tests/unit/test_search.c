/* Which place a key comes from, in the order of AWS's own programs, and what is refused; nothing is run or asked here. */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "cache/bucket/ops.h"
#include "cache/bucket/search.h"

static char folder[64];
static struct recipe recipe;
static struct place place;

static int forget(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st, (void)kind, (void)at;
	return remove(path);
}

static int setup(void **state)
{
	(void)state;
	clearenv();
	strcpy(folder, "/tmp/tootfs-search-XXXXXX");
	assert_non_null(mkdtemp(folder));
	setenv("HOME", folder, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nftw(folder, forget, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static void file(const char *name, mode_t mode, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/.aws", folder);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/.aws/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

static int search(const char *profile)
{
	struct search s = {.env_file = "",
			   .credentials = "",
			   .asked_profile = profile,
			   .bucket = "",
			   .region = "",
			   .recipe = &recipe,
			   .place = &place};
	int r;

	fault_clear();
	r = search_run(&s);
	buf_destroy(&s.looked);
	return r;
}

static void assert_kind(enum recipe_kind kind, const char *from)
{
	int r = search("");

	if (r || recipe.kind != kind)
		fail_msg("%d, kind %d, not %d: %s", r, (int)recipe.kind, (int)kind, bucket_why());
	if (!strstr(recipe.from, from))
		fail_msg("\"%s\" is not in \"%s\"", from, recipe.from);
}

static void assert_refused(const char *profile, const char *words)
{
	assert_int_equal(search(profile), -EACCES);
	if (!strstr(bucket_why(), words))
		fail_msg("\"%s\" is not in \"%s\"", words, bucket_why());
	assert_string_equal(recipe.key.secret, "");
}

/* Each place is set up on top of those behind it, and wins over them. */
static void the_order(void **state)
{
	(void)state;
	assert_kind(RECIPE_INSTANCE, "instance");
	assert_string_equal(recipe.url, "http://169.254.169.254");
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv6", 1);
	assert_kind(RECIPE_INSTANCE, "instance");
	assert_string_equal(recipe.url, "http://[fd00:ec2::254]");
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:99//", 1);
	assert_kind(RECIPE_INSTANCE, "instance");
	assert_string_equal(recipe.url, "http://127.0.0.1:99");

	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:98/x", 1);
	assert_kind(RECIPE_CONTAINER, "container");
	assert_string_equal(recipe.url, "http://127.0.0.1:98/x");
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1", 1);
	assert_kind(RECIPE_CONTAINER, "container");
	assert_string_equal(recipe.url, "http://169.254.170.2/v2/credentials/1");

	file("config", 0644,
	     "[default]\ncredential_process = keys --of \"a b\"\nregion = eu-west-1\n");
	assert_kind(RECIPE_PROCESS, "profile \"default\"");
	assert_string_equal(recipe.command, "keys --of \"a b\"");
	assert_string_equal(recipe.region, "eu-west-1");
	file("config", 0600,
	     "[default]\ncredential_process = keys\naws_access_key_id = A\n"
	     "aws_secret_access_key = s\n");
	assert_kind(RECIPE_KEY, "/.aws/config");
	file("config", 0644,
	     "[default]\ncredential_process = keys\nrole_arn = arn:r\n"
	     "web_identity_token_file = /token\nrole_session_name = me\n");
	assert_kind(RECIPE_WEB_IDENTITY, "/token");
	assert_string_equal(recipe.role_arn, "arn:r");
	assert_string_equal(recipe.session_name, "me");
	file("credentials", 0600, "[default]\naws_access_key_id = A\naws_secret_access_key = s\n");
	assert_kind(RECIPE_KEY, "/.aws/credentials");

	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/pod/token", 1);
	setenv("AWS_ROLE_ARN", "arn:pod", 1);
	assert_kind(RECIPE_WEB_IDENTITY, "/pod/token");
	assert_string_equal(recipe.role_arn, "arn:pod");
	assert_string_equal(recipe.session_name, "");
	setenv("AWS_ACCESS_KEY_ID", "E", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	assert_kind(RECIPE_KEY, "the environment");
	/* A profile that was asked for: nothing but that. */
	assert_refused("other", "no key for profile \"other\"");
	assert_int_equal(search("default"), 0);
	assert_int_equal(recipe.kind, RECIPE_KEY);
	assert_string_equal(recipe.key.access_key, "A");
}

static void half_of_it(void **state)
{
	(void)state;
	setenv("AWS_EC2_METADATA_DISABLED", "TRUE", 1);
	assert_refused("", "AWS_EC2_METADATA_DISABLED");
	setenv("AWS_ROLE_ARN", "arn:pod", 1); /* alone it means nothing, also not for the profile */
	file("config", 0644, "[default]\nweb_identity_token_file = /token\n");
	assert_refused("", "but not the role");
	unsetenv("AWS_ROLE_ARN");
	file("config", 0644, "");
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/token", 1);
	assert_refused("", "the environment names a web identity's token file but not the role");
	unsetenv("AWS_WEB_IDENTITY_TOKEN_FILE");
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@evil.example.com/", 1);
	assert_refused("", "must begin with a slash");
	unsetenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://evil.example.com/", 1);
	assert_refused("", "must be https");
}

/* A way to a key that is not ours must not end in the key of somebody else. */
static void ways_that_are_not_ours(void **state)
{
	static const char *const names[] = {"source_profile", "credential_source", "sso_session",
					    "sso_start_url"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char text[128];

		snprintf(text, sizeof(text), "[default]\nrole_arn = arn:x\n%s = y\n", names[i]);
		file("config", 0644, text);
		assert_refused("", names[i]);
		assert_refused("", "credential_process");
	}
}

static void who_may_write_it(void **state)
{
	static const char process[] = "[default]\ncredential_process = keys\n";
	static const mode_t modes[] = {0664, 0646, 0666, 0620};

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		file("config", modes[i], process);
		assert_refused("", "chmod go-w");
		file("config", modes[i],
		     "[default]\nrole_arn=a\nweb_identity_token_file = /token\n");
		assert_refused("", "chmod go-w");
	}
	file("config", 0644, process);
	assert_kind(RECIPE_PROCESS, "credential_process");
	if (geteuid() == 0) {
		char path[128];

		snprintf(path, sizeof(path), "%s/.aws/config", folder);
		assert_int_equal(chown(path, 12345, 12345), 0);
		assert_refused("", "belongs to user id 12345");
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_order),
	    TEST(half_of_it),
	    TEST(ways_that_are_not_ours),
	    TEST(who_may_write_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
