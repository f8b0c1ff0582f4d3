/* What a recipe leads to: the addresses, the program, and services that answer well or badly. */
#include <errno.h>
#include <fcntl.h>
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
#include "cache/base/clock.h"
#include "cache/bucket/ops.h"
#include "cache/bucket/recipe.h"
#include "cache/bucket/settings.h"
#include "http_server.h"

#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define KEY "{\"Version\":1,\"AccessKeyId\":\"AKIA\",\"SecretAccessKey\":\"" SECRET "\"}"

static struct credentials key;
static atomic_bool stop_it;

static void assert_why(const char *words)
{
	if (!strstr(bucket_why(), words))
		fail_msg("\"%s\" is not in \"%s\"", words, bucket_why());
	assert_null(strstr(bucket_why(), "MDENG"));
}

/* -- addresses -- */

static void container_addresses(void **state)
{
	static const struct {
		const char *url;
		bool allowed;
	} rows[] = {
	    {"http://127.0.0.1/x", true},
	    {"http://127.255.3.4:80/x", true},
	    {"http://localhost:1/", true},
	    {"http://LOCALHOST/", true},
	    {"http://[::1]:8080/x", true},
	    {"http://169.254.170.2/v2/credentials/1", true},
	    {"http://169.254.170.23/v1/credentials", true},
	    {"http://[fd00:ec2::23]/v1/credentials", true},
	    {"https://keys.example.com/x", true},
	    {"http://169.254.169.254/x", false},
	    {"http://169.254.170.3/x", false},
	    {"http://10.0.0.1/x", false},
	    {"http://[fd00:ec2::24]/x", false},
	    {"http://[::ffff:10.0.0.1]/x", false},
	    {"http://keys.example.com/x", false},
	    {"http://localhost.example.com/x", false},
	    {"http://127.0.0.1.example.com/x", false},
	    {"http://127.0.0.1@10.0.0.1/x", false},
	    {"http://user:password@127.0.0.1/x", false},
	    {"http://127.0.0.1#@10.0.0.1/", true},
	    {"ftp://127.0.0.1/x", false},
	    {"file:///etc/shadow", false},
	    {"127.0.0.1/x", false},
	    {"http://", false},
	    {"", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (container_url_allowed(rows[i].url) != rows[i].allowed)
			fail_msg("%s", rows[i].url);
}

static void sts_addresses(void **state)
{
	static const struct {
		const char *region, *sts, *all, *mode, *url;
	} rows[] = {
	    {"", "", "", "", "https://sts.amazonaws.com/"},
	    {"eu-north-1", "", "", "", "https://sts.eu-north-1.amazonaws.com/"},
	    {"eu-north-1", "", "", "regional", "https://sts.eu-north-1.amazonaws.com/"},
	    {"eu-north-1", "", "", "legacy", "https://sts.amazonaws.com/"},
	    {"cn-north-1", "", "", "legacy", "https://sts.cn-north-1.amazonaws.com.cn/"},
	    {"evil.example.com/", "", "", "", "https://sts.amazonaws.com/"},
	    {"eu-north-1", "", "https://minio:9000", "", "https://minio:9000/"},
	    {"eu-north-1", "https://sts/", "https://minio:9000", "", "https://sts/"},
	};
	char url[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setenv("AWS_ENDPOINT_URL_STS", rows[i].sts, 1);
		setenv("AWS_ENDPOINT_URL", rows[i].all, 1);
		setenv("AWS_STS_REGIONAL_ENDPOINTS", rows[i].mode, 1);
		web_identity_url(rows[i].region, url, sizeof(url));
		assert_string_equal(url, rows[i].url);
	}
	web_identity_url("", url, 10);
	assert_string_equal(url, "");
	unsetenv("AWS_ENDPOINT_URL_STS");
	unsetenv("AWS_ENDPOINT_URL");
	unsetenv("AWS_STS_REGIONAL_ENDPOINTS");
}

/* -- the program -- */

static void words(void **state)
{
	static const struct {
		const char *text, *seen; /* NULL = refused */
	} rows[] = {
	    {"/bin/x --a b", "/bin/x|--a|b|"},
	    {"  x\t y \n", "x|y|"},
	    {"\"/a b/c\" 'd \"e'", "/a b/c|d \"e|"},
	    {"a\"b c\"d'e f'g", "ab cde fg|"},
	    {"a\\ b \\\" \"\\\"\\\\\\n\" '\\'", "a b|\"|\"\\\\n|\\|"},
	    {"'' \"\" x", "||x|"},
	    {"$HOME ~ ; `x` *", "$HOME|~|;|`x`|*|"},
	    {"a\\", "a\\|"},
	    {"'open", NULL},
	    {"a \"open", NULL},
	    {"\"a\\\"", NULL},
	    {"1 2 3 4 5 6 7 8", "1|2|3|4|5|6|7|8|"},
	    {"1 2 3 4 5 6 7 8 9", NULL},
	    {"", ""},
	    {"  ", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = strdup(rows[i].text), *out[8], seen[256] = "";
		int n = settings_words(text, out, 8);

		for (int w = 0; w < n; w++)
			snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s|", out[w]);
		if (!rows[i].seen)
			assert_int_equal(n, -1);
		else
			assert_string_equal(seen, rows[i].seen);
		free(text);
	}
}

static int run(const char *command)
{
	struct recipe *recipe = calloc(1, sizeof(*recipe));
	int r;

	assert_non_null(recipe);
	recipe->kind = RECIPE_PROCESS;
	strcpy(recipe->from, "the program's profile");
	snprintf(recipe->command, sizeof(recipe->command), "%s", command);
	fault_clear();
	r = recipe_follow(recipe, &stop_it, &key);
	free(recipe);
	return r;
}

static void programs(void **state)
{
	static const struct {
		const char *command, *words;
	} rows[] = {
	    {"sh -c 'exit 7'", "status 7"},
	    {"sh -c 'kill -9 $$'", "SIGKILL"},
	    {"sh -c 'echo \"" SECRET "\"'", "not the JSON"},
	    {"sh -c 'echo \"" SECRET "\" >&2; exit 1'", "status 1"},
	    {"true", "not the JSON"},
	    {"yes " SECRET, "prints more than any key"},
	    {"/no/such/program --secret " SECRET, "/no/such/program cannot be run"},
	    {"/etc/passwd", "cannot be run"},
	    {"sh -c 'open", "a quote is not closed"},
	    {"   ", "no words"},
	};

	(void)state;
	assert_int_equal(run("printf %s '" KEY "'"), 0);
	assert_string_equal(key.secret, SECRET);
	/* In pieces, and with somebody left behind who holds the pipe. */
	assert_int_equal(run("sh -c 'sleep 60 & printf %.20s \"$1\"; sleep 0.2; printf %s \"${1#????????????????????}\"' - '" KEY
			     "'"),
			 0);
	assert_string_equal(key.secret, SECRET);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(run(rows[i].command), -EACCES);
		assert_why(rows[i].words);
		assert_string_equal(key.secret, "");
	}
}

static void *stop_soon(void *arg)
{
	(void)arg;
	server_sleep_ms(200);
	atomic_store(&stop_it, true);
	return NULL;
}

/* A stop ends it, with all that it started, and what is ours never reaches it. */
static void programs_are_apart(void **state)
{
	int leak = open("/dev/null", O_RDONLY); /* not close-on-exec */
	char command[256], path[64], seen[256] = "";
	pthread_t thread;
	int64_t began_ms;
	FILE *f;

	(void)state;
	snprintf(command, sizeof(command), "sh -c '[ ! -e /proc/self/fd/%d ] && printf %%s \"$1\"' - '" KEY "'",
		 leak);
	assert_int_equal(run(command), 0);
	close(leak);
	assert_int_equal(pthread_create(&thread, NULL, stop_soon, NULL), 0);
	began_ms = clock_ms();
	snprintf(path, sizeof(path), "/tmp/tootfs-recipe-%d", (int)getpid());
	snprintf(command, sizeof(command), "sh -c 'sleep 60 & echo $! >%s; wait'", path);
	assert_int_equal(run(command), -ECANCELED);
	assert_true(clock_ms() - began_ms < 20000);
	pthread_join(thread, NULL);
	atomic_store(&stop_it, false);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(seen, sizeof(seen), f));
	fclose(f);
	unlink(path);
	/* What it had started is gone as well, or waits only for whoever is to collect it. */
	snprintf(path, sizeof(path), "/proc/%d/stat", atoi(seen));
	for (int i = 0; i < 100; i++) {
		f = fopen(path, "r");
		if (!f || !fgets(seen, sizeof(seen), f) || strstr(seen, ") Z "))
			break;
		fclose(f);
		f = NULL;
		server_sleep_ms(100);
		assert_true(i < 99);
	}
	if (f)
		fclose(f);
}

/* -- services -- */

enum mood { WELL, UNWILLING, BROKEN, GARBAGE, MUTE, ENDLESS, ROLE_WITH_SLASH, MOVED };
static enum mood mood;
static atomic_uint asked;

static bool answer(struct server *s, struct server_request *q)
{
	bool token = strcmp(q->method, "PUT") == 0;
	bool role = strstr(q->target, "/security-credentials/") &&
		    q->target[strlen(q->target) - 1] == '/';

	(void)s;
	atomic_fetch_add(&asked, 1);
	switch (mood) {
	case UNWILLING:
		server_reply(q, 403, "", "{\"code\":\"NotForYou\",\"message\":\"" SECRET "\"}");
		return true;
	case BROKEN:
		server_reply(q, 503, "", SECRET);
		return true;
	case MOVED:
		server_reply(q, 302, "Location: http://127.0.0.1:1/\r\n", "");
		return true;
	case GARBAGE:
		server_reply(q, 200, "", "\x01\x02 " SECRET);
		return true;
	case MUTE:
		server_sleep_ms(3000);
		return false;
	case ENDLESS:
		server_printf(q, "HTTP/1.1 200 OK\r\n\r\n");
		for (int i = 0; i < 200; i++)
			server_printf(q, "%01000d", 0);
		return false;
	default:
		server_reply(q, 200, "", token ? "session" : role ? mood == WELL ? "role" : "../x" : KEY);
		return true;
	}
}

static int follow(enum recipe_kind kind, const char *url)
{
	struct recipe *recipe = calloc(1, sizeof(*recipe));
	int r;

	assert_non_null(recipe);
	recipe->kind = kind;
	strcpy(recipe->from, "the service");
	snprintf(recipe->url, sizeof(recipe->url), "%s", url);
	fault_clear();
	r = recipe_follow(recipe, &stop_it, &key);
	free(recipe);
	return r;
}

static void services(void **state)
{
	static const struct {
		enum mood mood;
		int instance, container;
		const char *instance_words, *container_words;
		unsigned instance_asked, container_asked;
	} rows[] = {
	    {WELL, 0, 0, "", "", 3, 1},
	    {UNWILLING, -EACCES, -EACCES, "no session token (HTTP 403)", "HTTP 403 NotForYou", 1, 1},
	    {BROKEN, -EHOSTDOWN, -EHOSTDOWN, "HTTP 503", "HTTP 503", 1, 3},
	    {MOVED, -EACCES, -EACCES, "HTTP 302", "HTTP 302", 1, 1},
	    {GARBAGE, -EACCES, -EACCES, "no session token", "not the JSON", 1, 1},
	    {ENDLESS, -EACCES, -EACCES, "longer than any", "longer than any", 1, 1},
	    {ROLE_WITH_SLASH, -EACCES, 0, "no name of a role", "", 2, 1},
	};
	struct server *s = server_start(answer, NULL);
	char url[64];

	(void)state;
	snprintf(url, sizeof(url), "http://127.0.0.1:%d", s->port);
	setenv("http_proxy", "http://127.0.0.1:1", 1); /* not for these */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		mood = rows[i].mood;
		atomic_store(&asked, 0);
		assert_int_equal(follow(RECIPE_INSTANCE, url), rows[i].instance);
		assert_int_equal(atomic_load(&asked), rows[i].instance_asked);
		assert_why(rows[i].instance_words);
		assert_int_equal(fault_of_thread()->again, rows[i].instance == -EHOSTDOWN);
		atomic_store(&asked, 0);
		assert_int_equal(follow(RECIPE_CONTAINER, url), rows[i].container);
		assert_int_equal(atomic_load(&asked), rows[i].container_asked);
		assert_why(rows[i].container_words);
	}
	mood = MUTE;
	assert_int_equal(follow(RECIPE_INSTANCE, url), -EHOSTDOWN);
	assert_why("timed out after 10"); /* milliseconds: about a second */
	server_stop(s);
	assert_int_equal(follow(RECIPE_CONTAINER, url), -EHOSTDOWN);
	assert_why("does not answer");
	unsetenv("http_proxy");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(container_addresses), cmocka_unit_test(sts_addresses),
	    cmocka_unit_test(words),		   cmocka_unit_test(programs),
	    cmocka_unit_test(programs_are_apart),  cmocka_unit_test(services),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
