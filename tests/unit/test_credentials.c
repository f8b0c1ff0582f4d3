/* Where the key comes from, what is refused, and that no text of an error ever holds a secret. */
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
#include "cache/bucket/credentials.h"
#include "cache/bucket/ops.h"
#include "cache/bucket/settings.h"

#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

static char folder[64];

static int forget(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st, (void)kind, (void)at;
	return remove(path);
}

static int setup(void **state)
{
	static const char *const names[] = {"AWS_ACCESS_KEY_ID",
					    "AWS_SECRET_ACCESS_KEY",
					    "AWS_SESSION_TOKEN",
					    "AWS_PROFILE",
					    "AWS_REGION",
					    "AWS_DEFAULT_REGION",
					    "AWS_ENDPOINT_URL",
					    "AWS_ENDPOINT_URL_S3",
					    "AWS_SHARED_CREDENTIALS_FILE",
					    "AWS_CONFIG_FILE",
					    "AWS_WEB_IDENTITY_TOKEN_FILE",
					    "AWS_ROLE_ARN",
					    "AWS_ROLE_SESSION_NAME",
					    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
					    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
					    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
					    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
					    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
					    "AWS_ENDPOINT_URL_STS",
					    "AWS_STS_REGIONAL_ENDPOINTS"};

	(void)state;
	strcpy(folder, "/tmp/tootfs-key-XXXXXX");
	assert_non_null(mkdtemp(folder));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	setenv("HOME", folder, 1);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nftw(folder, forget, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static const char *file(const char *name, mode_t mode, const char *text)
{
	static char path[4][128];
	static int turn;
	char *out = path[turn++ % 4];
	FILE *f;

	snprintf(out, sizeof(path[0]), "%s/.aws", folder);
	mkdir(out, 0700);
	snprintf(out, sizeof(path[0]), "%s/%s", folder, name);
	f = fopen(out, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(out, mode), 0);
	return out;
}

static struct credentials key;
static struct place place;

/* Opens, gets once, closes; on an error its text is without the secret. */
static int find(const struct bucket_config *config)
{
	struct credential_source *source;
	int r;

	memset(&key, 0, sizeof(key));
	fault_clear();
	r = credentials_open(config, &source, &place);
	if (r) {
		assert_null(source);
		assert_null(strstr(bucket_why(), SECRET));
		assert_null(strstr(bucket_why(), "MDENG"));
		assert_true(fault_of_thread()->why[0]);
		return r;
	}
	assert_int_equal(credentials_get(source, &key), 0);
	credentials_close(&source);
	assert_null(source);
	return 0;
}

static void assert_why(const char *words)
{
	if (!strstr(bucket_why(), words))
		fail_msg("\"%s\" is not in \"%s\"", words, bucket_why());
}

/* -- Mastodon's env file -- */

static void mastodons_own_settings(void **state)
{
	struct bucket_config config = {.spec = "s3://x"};

	(void)state;
	config.env_file = file(".env.production", 0600,
			       "# Mastodon\n"
			       "LOCAL_DOMAIN=example.com\n"
			       "S3_ENABLED=true\r\n"
			       "export S3_BUCKET='media'\n"
			       "AWS_ACCESS_KEY_ID=AKIA # the first\n"
			       "AWS_SECRET_ACCESS_KEY=\"" SECRET "\"\n"
			       "AWS_SESSION_TOKEN=tok\n"
			       "S3_REGION=eu-central-1\n"
			       "S3_PROTOCOL=http\n"
			       "S3_HOSTNAME=cdn.example.com\n"
			       "S3_ENDPOINT=s3.example.com:9000\n"
			       "S3_PERMISSION=\n"
			       "S3_STORAGE_CLASS = STANDARD_IA\n"
			       "S3_KEY_PREFIX=a/b\n");
	assert_int_equal(find(&config), 0);
	assert_string_equal(key.access_key, "AKIA");
	assert_string_equal(key.secret, SECRET);
	assert_string_equal(key.token, "tok");
	assert_string_equal(place.bucket, "media");
	assert_string_equal(place.region, "eu-central-1");
	assert_string_equal(place.endpoint, "http://s3.example.com:9000");
	assert_string_equal(place.acl, "none");
	assert_string_equal(place.storage_class, "STANDARD_IA");
	assert_string_equal(place.prefix, "a/b");
	assert_int_equal(place.path_style, 1);
}

static void path_style_as_mastodon_decides_it(void **state)
{
	static const struct {
		const char *more;
		int path_style;
		const char *endpoint;
	} rows[] = {
	    {"", -1, ""},
	    {"S3_OVERRIDE_PATH_STYLE=true\n", -1, ""},
	    {"S3_ENDPOINT=https://h\n", 1, "https://h"},
	    {"S3_ENDPOINT=h\n", 1, "https://h"},
	    {"S3_OVERRIDE_PATH_STYLE=true\nS3_ENDPOINT=https://h\n", 0, "https://h"},
	    {"S3_OVERRIDE_PATH_STYLE=false\nS3_ENDPOINT=https://h\n", 1, "https://h"},
	    {"S3_HOSTNAME=files.example.com\nS3_PROTOCOL=http\n", -1, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bucket_config config = {.spec = "s3://x"};
		char text[512];

		snprintf(text, sizeof(text), "AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=%s\n%s",
			 SECRET, rows[i].more);
		config.env_file = file("env", 0600, text);
		assert_int_equal(find(&config), 0);
		assert_int_equal(place.path_style, rows[i].path_style);
		assert_string_equal(place.endpoint, rows[i].endpoint);
		assert_string_equal(place.acl, "");
	}
}

static void an_env_file_keeps_other_places_out(void **state)
{
	struct bucket_config config = {.spec = "s3://x"};

	(void)state;
	file(".aws/config", 0644,
	     "[default]\nregion = elsewhere\nendpoint_url = https://elsewhere\n");
	setenv("AWS_REGION", "elsewhere", 1);
	config.env_file =
	    file("env", 0600, "AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=" SECRET "\n");
	assert_int_equal(find(&config), 0);
	assert_string_equal(place.region, "");
	assert_string_equal(place.endpoint, "");
	/* Without a key it says where, and the key is found elsewhere. */
	config.env_file = file("env", 0600, "S3_BUCKET=b\nAWS_SESSION_TOKEN=old\n");
	file(".aws/credentials", 0600,
	     "[default]\naws_access_key_id=B\naws_secret_access_key=" SECRET "\n");
	assert_int_equal(find(&config), 0);
	assert_string_equal(key.access_key, "B");
	assert_string_equal(key.token, "");
	assert_string_equal(place.bucket, "b");
	assert_string_equal(place.region, "");
}

/* -- AWS's files -- */

static const char shared[] = "[default]\n"
			     "aws_access_key_id = DEFAULT\n"
			     "aws_secret_access_key = " SECRET "\n"
			     "\n"
			     "[work] # a comment\n"
			     "  aws_access_key_id = NESTED\n"
			     "aws_access_key_id=WORK ; another\n"
			     "aws_secret_access_key=" SECRET "\n"
			     "aws_session_token=token\n"
			     "[half]\n"
			     "aws_access_key_id=HALF\n"
			     "[empty]\n";
static const char config_text[] =
    "[default]\nregion = us-west-2\n"
    "[profile work]\nregion = eu-west-1\nendpoint_url = https://s3.work\n"
    "s3 =\n  addressing_style = path\n"
    "[profile \"with space\"]\nregion = sa-east-1\n"
    "aws_access_key_id = SPACE\naws_secret_access_key = " SECRET "\n";

static void profiles(void **state)
{
	struct bucket_config config = {.spec = "s3://x"};

	(void)state;
	file(".aws/credentials", 0600, shared);
	file(".aws/config", 0600, config_text);
	assert_int_equal(find(&config), 0);
	assert_string_equal(key.access_key, "DEFAULT");
	assert_string_equal(place.region, "us-west-2");
	setenv("AWS_PROFILE", "work", 1);
	assert_int_equal(find(&config), 0);
	assert_string_equal(key.access_key, "WORK");
	assert_string_equal(key.token, "token");
	assert_string_equal(place.region, "eu-west-1");
	assert_string_equal(place.endpoint, "https://s3.work");
	setenv("AWS_REGION", "by-variable", 1);
	config.profile = "with space";
	assert_int_equal(find(&config), 0);
	assert_string_equal(key.access_key, "SPACE");
	assert_string_equal(place.region, "by-variable");

	config.profile = "none";
	assert_int_equal(find(&config), -EACCES);
	assert_why("\"none\"");
	assert_why("/.aws/credentials");
	config.profile = "half";
	assert_int_equal(find(&config), -EACCES);
	assert_why("not the secret key");
}

static void variables(void **state)
{
	struct bucket_config config = {.spec = "s3://x"};

	(void)state;
	file(".aws/credentials", 0600, shared);
	setenv("AWS_ACCESS_KEY_ID", "VARIABLE", 1);
	setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
	setenv("AWS_SESSION_TOKEN", "tok", 1);
	setenv("AWS_DEFAULT_REGION", "r", 1);
	setenv("AWS_ENDPOINT_URL", "https://e", 1);
	assert_int_equal(find(&config), 0);
	assert_string_equal(key.access_key, "VARIABLE");
	assert_string_equal(key.token, "tok");
	assert_string_equal(place.region, "r");
	assert_string_equal(place.endpoint, "https://e");
	/* A profile that was asked for wins over the environment. */
	config.profile = "work";
	assert_int_equal(find(&config), 0);
	assert_string_equal(key.access_key, "WORK");
	config.profile = NULL;
	unsetenv("AWS_SECRET_ACCESS_KEY");
	assert_int_equal(find(&config), -EACCES);
	assert_why("the environment holds an access key but not the secret key");
}

static void files_by_variable(void **state)
{
	struct bucket_config config = {.spec = "s3://x"};

	(void)state;
	setenv("AWS_SHARED_CREDENTIALS_FILE", file("keys", 0600, shared), 1);
	setenv("AWS_CONFIG_FILE", file("conf", 0644, config_text), 1);
	assert_int_equal(find(&config), 0);
	assert_string_equal(key.access_key, "DEFAULT");
	assert_string_equal(place.region, "us-west-2");
	/* A key in a file that all can read is refused; its region alone was not. */
	config.profile = "with space";
	assert_int_equal(find(&config), -EACCES);
	assert_why("chmod 600");
}

/* -- the credentials option -- */

static void passwd_files(void **state)
{
	static const struct {
		const char *text, *access_key;
		int result;
		const char *words;
	} rows[] = {
	    {"ACCESS:" SECRET "\n", "ACCESS", 0, NULL},
	    {"# comment\n\n  ACCESS:" SECRET "  \r\n", "ACCESS", 0, NULL},
	    {"test:tester:" SECRET, "test:tester", 0, NULL},
	    {"other:O:" SECRET "\nmedia:MEDIA:" SECRET "\nmore:M:" SECRET, "MEDIA", 0, NULL},
	    {"media:test:tester:" SECRET, "test:tester", 0, NULL},
	    {"A:" SECRET "\nB:" SECRET, NULL, -EACCES, "2 keys and none is for bucket \"media\""},
	    {"", NULL, -EACCES, "is empty"},
	    {" \n\t\n", NULL, -EACCES, "is empty"},
	    {SECRET, NULL, -EACCES, "neither a [profile] nor a line ACCESS:SECRET"},
	    {":" SECRET, NULL, -EACCES, "a secret key but not the access key"},
	    {"ACCESS:", NULL, -EACCES, "not the secret key"},
	    {"ACC ESS:" SECRET, NULL, -EACCES, "a blank"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bucket_config config = {.spec = "s3://media/prefix"};

		config.credentials = file("passwd", 0600, rows[i].text);
		assert_int_equal(find(&config), rows[i].result);
		if (rows[i].words) {
			assert_why(rows[i].words);
			continue;
		}
		assert_string_equal(key.access_key, rows[i].access_key);
		assert_string_equal(key.secret, SECRET);
	}
}

static void the_file_that_was_asked_for(void **state)
{
	struct bucket_config config = {.spec = "s3://x"};

	(void)state;
	setenv("AWS_ACCESS_KEY_ID", "VARIABLE", 1);
	setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
	config.credentials = file("keys", 0600, shared);
	assert_int_equal(find(&config), 0);
	assert_string_equal(key.access_key, "DEFAULT");
	config.profile = "work";
	assert_int_equal(find(&config), 0);
	assert_string_equal(key.access_key, "WORK");
	/* What it does not hold is not looked for elsewhere. */
	config.profile = "none";
	assert_int_equal(find(&config), -EACCES);
	assert_why("has no profile \"none\"");
	config.profile = "empty";
	assert_int_equal(find(&config), -EACCES);
	config.profile = "work";
	config.credentials = file("passwd", 0600, "A:" SECRET);
	assert_int_equal(find(&config), -EINVAL);
	assert_why("leave out profile=work");
}

/* -- refusals -- */

static void files_that_others_can_use(void **state)
{
	static const mode_t modes[] = {0640, 0604, 0620, 0666, 0644, 0601};
	struct bucket_config config = {.spec = "s3://x"};

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		config.credentials = file("keys", modes[i], shared);
		assert_int_equal(find(&config), -EACCES);
		assert_why("chmod 600");
		assert_why(config.credentials);
		config.credentials = NULL;
		config.env_file = file("env", modes[i], "S3_BUCKET=x\n");
		assert_int_equal(find(&config), -EACCES);
		assert_why("chmod 600");
		config.env_file = NULL;
		file(".aws/credentials", modes[i], shared);
		assert_int_equal(find(&config), -EACCES);
		assert_why("chmod 600");
	}
}

static void owners(void **state)
{
	struct bucket_config config = {.spec = "s3://x"};

	(void)state;
	if (geteuid() != 0)
		skip();
	config.credentials = file("keys", 0600, shared);
	assert_int_equal(chown(config.credentials, 12345, 12345), 0);
	assert_int_equal(find(&config), -EACCES);
	assert_why("12345");
	/* Mastodon's own file belongs to Mastodon, also where root mounts. */
	config.credentials = NULL;
	config.env_file =
	    file("env", 0600, "AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=" SECRET "\n");
	assert_int_equal(chown(config.env_file, 12345, 12345), 0);
	assert_int_equal(find(&config), 0);
}

static void files_that_are_none(void **state)
{
	struct bucket_config config = {.spec = "s3://x"};
	char fifo[128], many[600];
	FILE *f;

	(void)state;
	config.credentials = "/no/such/file";
	assert_int_equal(find(&config), -EACCES);
	assert_why("/no/such/file");
	config.credentials = folder;
	assert_int_equal(find(&config), -EINVAL);
	assert_why("not a regular file");
	snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	config.credentials = fifo; /* and does not hang */
	assert_int_equal(find(&config), -EINVAL);
	config.credentials = file("nul", 0600, "A:b");
	f = fopen(config.credentials, "a");
	fputc('\0', f);
	fclose(f);
	assert_int_equal(find(&config), -EINVAL);
	assert_why("NUL");
	memset(many, 'x', sizeof(many));
	memcpy(many, "A:", 2);
	many[sizeof(many) - 1] = '\0';
	config.credentials = file("long", 0600, many);
	assert_int_equal(find(&config), -EACCES);
	assert_why("too long");
	config.credentials = file("big", 0600, "");
	assert_int_equal(truncate(config.credentials, 5 << 20), 0);
	assert_int_equal(find(&config), -EINVAL);
	config.credentials = NULL;
	config.env_file = "/no/env";
	assert_int_equal(find(&config), -EACCES);
	assert_why("/no/env");
}

static void no_credentials_at_all(void **state)
{
	struct bucket_config config = {.spec = "s3://x"};

	(void)state;
	assert_int_equal(find(&config), -EACCES);
	assert_why("no credentials found");
	assert_why("env_file");
	assert_why("AWS_ACCESS_KEY_ID");
	assert_why("/.aws/credentials (there is none)");
	assert_why("/.aws/config (there is none)");
	assert_why("credentials=FILE");
}

/* -- rotation -- */

static void refused_keys_are_read_again(void **state)
{
	struct bucket_config config = {.spec = "s3://x"};
	struct credential_source *source;

	(void)state;
	config.credentials = file("passwd", 0600, "OLD:" SECRET);
	assert_int_equal(credentials_open(&config, &source, &place), 0);
	file("passwd", 0600, "NEW:" SECRET);
	assert_int_equal(credentials_get(source, &key), 0);
	assert_string_equal(key.access_key, "OLD");
	credentials_refused(source, &key, "InvalidAccessKeyId");
	assert_int_equal(credentials_get(source, &key), 0);
	assert_string_equal(key.access_key, "NEW");
	unlink(config.credentials);
	assert_int_equal(credentials_get(source, &key), 0);
	credentials_refused(source, &key, "InvalidAccessKeyId");
	/* Nothing else is there: the old ones may still be tried. */
	assert_int_equal(credentials_get(source, &key), 0);
	assert_string_equal(key.access_key, "NEW");
	file("passwd", 0600, "BACK:" SECRET);
	assert_int_equal(credentials_reload(source, &place), 0);
	assert_int_equal(credentials_get(source, &key), 0);
	assert_string_equal(key.access_key, "BACK");
	credentials_close(&source);
	credentials_wipe(&key);
	assert_string_equal(key.access_key, "");
}

/* -- the texts alone -- */

static int note(void *arg, const char *section, const char *name, const char *value)
{
	char *seen = arg;
	size_t used = strlen(seen);

	snprintf(seen + used, 512 - used, "%s|%s|%s;", section, name, value);
	return strcmp(name, "STOP") == 0 ? 5 : 0;
}

static void env_texts(void **state)
{
	static const struct {
		const char *text, *seen;
	} rows[] = {
	    {"A=1\nB=2", "|A|1;|B|2;"},
	    {"\xef\xbb\xbf"
	     "A=1",
	     "|A|1;"},
	    {" export\tA = 1 \r\n", "|A|1;"},
	    {"export=1\nexportA=2", "|export|1;|exportA|2;"},
	    {"#A=1\n  # B=2\nC=#3\nD=a#b\nE=a #b", "|C|;|D|a#b;|E|a;"},
	    {"A='a # b' # c\nB=\"x\\n\\\"y\\\\z\\q\"", "|A|a # b;|B|x\n\"y\\zq;"},
	    {"A='it\\'s'\nB=2", "|A|it\\;|B|2;"},
	    {"A=\"two\nlines\"\nB=2", "|A|two\nlines;|B|2;"},
	    {"A=\"open\nB=2", "|A|\"open;|B|2;"},
	    {"A=\nB=''\nC=\"\"", "|A|;|B|;|C|;"},
	    {"A: 1\n=2\n A B=3\n-X=4\n", ""},
	    {"A=$B${C}", "|A|$B${C};"},
	    {"STOP=1\nA=2", "|STOP|1;"},
	    {"", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char seen[512] = "", *text = strdup(rows[i].text);
		int r = settings_env(text, note, seen);

		assert_string_equal(seen, rows[i].seen);
		assert_int_equal(r, strncmp(rows[i].text, "STOP", 4) ? 0 : 5);
		free(text);
	}
}

static void ini_texts(void **state)
{
	static const struct {
		const char *text, *seen;
		bool is_ini;
	} rows[] = {
	    {"[a]\nb=1\n[ profile  c ]\nd = 2 # x\ne=3;4", "a|b|1;c|d|2;c|e|3;4;", true},
	    {"x=1\n[a]\n b=2\n\tc=3\nd=\n", "|x|1;a|d|;", true},
	    {"[profile 'q r']\na.b-c=1", "q r|a.b-c|1;", true},
	    {"[open\na=1", "|a|1;", true},
	    {"[]\na=1\n[profile]\nb=2", "|a|1;profile|b|2;", true},
	    {"no section", "", false},
	    {"# [x]\nA:B", "", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char seen[512] = "", *text = strdup(rows[i].text);

		assert_int_equal(settings_is_ini(text), rows[i].is_ini);
		assert_int_equal(settings_ini(text, note, seen), 0);
		assert_string_equal(seen, rows[i].seen);
		free(text);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(mastodons_own_settings),
	    TEST(path_style_as_mastodon_decides_it),
	    TEST(an_env_file_keeps_other_places_out),
	    TEST(profiles),
	    TEST(variables),
	    TEST(files_by_variable),
	    TEST(passwd_files),
	    TEST(the_file_that_was_asked_for),
	    TEST(files_that_others_can_use),
	    TEST(owners),
	    TEST(files_that_are_none),
	    TEST(no_credentials_at_all),
	    TEST(refused_keys_are_read_again),
	    TEST(env_texts),
	    TEST(ini_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
