/* Lines are caught from stderr (a file in its place) and from syslog(3) (replaced here). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>
#include <cmocka.h>
#include "cache/base/lock.h"
#include "cache/base/log.h"

enum { LINE_BYTES_MAX = 2000 };

static FILE *caught;
static int real_stderr;
static char syslog_line[4096];
static int syslog_priority;

#undef syslog /* with _FORTIFY_SOURCE clang has a macro of that name */
void syslog(int priority, const char *fmt, ...)
{
	va_list args;

	syslog_priority = priority;
	va_start(args, fmt);
	vsnprintf(syslog_line, sizeof(syslog_line), fmt, args);
	va_end(args);
}

void __syslog_chk(int priority, int flag, const char *fmt, ...); /* what _FORTIFY_SOURCE makes of it */
void __syslog_chk(int priority, int flag, const char *fmt, ...)
{
	va_list args;

	(void)flag;
	syslog_priority = priority;
	va_start(args, fmt);
	vsnprintf(syslog_line, sizeof(syslog_line), fmt, args);
	va_end(args);
}

static void use(enum log_level level, enum log_format format, enum log_sink sink)
{
	const struct log_config config = {level, format, sink, LOG_PLACE_AUTO};

	log_setup(&config);
}

static void catch(void)
{
	fflush(stderr);
	real_stderr = dup(STDERR_FILENO);
	caught = tmpfile();
	dup2(fileno(caught), STDERR_FILENO);
}

/* All that was written since catch(), as one text. */
static const char *release(void)
{
	static char text[64 * 1024];

	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	rewind(caught);
	size_t length = fread(text, 1, sizeof(text) - 1, caught);
	fclose(caught);
	text[length] = '\0';
	return text;
}

static const char *one_line(const char *message)
{
	catch();
	log_warn("%s", message);
	char *text = (char *)release();
	size_t length = strlen(text);
	assert_true(length > 0 && text[length - 1] == '\n');
	text[length - 1] = '\0';
	assert_null(strchr(text, '\n'));
	assert_true(length - 1 <= LINE_BYTES_MAX);
	return text;
}

/* 2024-05-01T12:00:00.123Z */
static bool is_time(const char *text)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";

	for (size_t i = 0; form[i]; i++)
		if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
			return false;
	return true;
}

/* A reader that takes only what RFC 8259 takes, with strings as values. out: the value of the last string. */
static bool read_string(const char **at, char *out)
{
	const char *s = *at;

	if (*s++ != '"')
		return false;
	for (; *s != '"'; s++) {
		if ((unsigned char)*s < 0x20)
			return false;
		if (*s == '\\') {
			s++;
			if (*s != '"' && *s != '\\') /* all that we write */
				return false;
		}
		*out++ = *s;
	}
	*out = '\0';
	*at = s + 1;
	return true;
}

static void read_json(const char *line, char message[4096], char level[4096])
{
	static const char *const names[] = {"time", "level", "message"};
	char name[4096], value[4096];

	assert_int_equal(*line++, '{');
	for (int i = 0; i < 3; i++) {
		assert_true(read_string(&line, name));
		assert_string_equal(name, names[i]);
		assert_int_equal(*line++, ':');
		assert_true(read_string(&line, value));
		assert_int_equal(*line++, i < 2 ? ',' : '}');
		if (i == 0)
			assert_true(is_time(value));
		strcpy(i == 1 ? level : message, value);
	}
	assert_string_equal(line, "");
}

static const struct {
	const char *in, *out;
} escapes[] = {
	{"key=a/b.png", "key=a/b.png"},
	{"a\nb\r\tc", "a\\x0ab\\x0d\\x09c"},
	{"\x1b[31mred\x7f", "\\x1b[31mred\\x7f"},
	{"quote \" backslash \\", "quote \" backslash \\"},
	{"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\x98", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\x98"},
	{"\xff\xfe", "\\xff\\xfe"},
	{"\xc3", "\\xc3"},
	{"\xc3(", "\\xc3("},
	{"\xe2\x82", "\\xe2\\x82"},
	{"\x80", "\\x80"},
	{"\xc0\xaf", "\\xc0\\xaf"},                 /* an overlong '/' */
	{"\xe0\x80\xaf", "\\xe0\\x80\\xaf"},
	{"\xf0\x80\x80\xaf", "\\xf0\\x80\\x80\\xaf"},
	{"\xed\xa0\x80", "\\xed\\xa0\\x80"},        /* a surrogate */
	{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* past U+10FFFF */
	{"\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80"},
	{"\xc2\x85 \xc2\xa0", "\\xc2\\x85 \xc2\xa0"}, /* C1 controls, but not what follows them */
	{"\xe2\x80\xa8", "\\xe2\\x80\\xa8"},        /* a line separator */
	{"", ""},
};

static void test_text(void **state)
{
	(void)state;
	use(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_SINK_STDERR);
	for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
		const char *line = one_line(escapes[i].in);
		assert_true(is_time(line));
		assert_memory_equal(line + 24, " warn ", 6);
		assert_string_equal(line + 30, escapes[i].out);
	}
}

static void test_json(void **state)
{
	(void)state;
	char message[4096], level[4096];

	use(LOG_LEVEL_INFO, LOG_FORMAT_JSON, LOG_SINK_STDERR);
	for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
		read_json(one_line(escapes[i].in), message, level);
		assert_string_equal(message, escapes[i].out);
		assert_string_equal(level, "warn");
	}
}

/* Random bytes, of all lengths: always one whole line of printable characters, in JSON always readable. */
static void test_rubbish(void **state)
{
	(void)state;
	char text[3000], message[4096], level[4096];
	uint64_t seed = 99;

	for (int round = 0; round < 600; round++) {
		size_t length = (size_t)round * 5 % sizeof(text);
		for (size_t i = 0; i < length; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			text[i] = (char)(1 + (seed >> 40) % 255);
		}
		text[length] = '\0';
		use(LOG_LEVEL_INFO, round % 2 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT, LOG_SINK_STDERR);
		const char *line = one_line(text);
		for (const char *s = line; *s; s++)
			assert_true((unsigned char)*s >= 0x20 && *s != 0x7f);
		if (round % 2)
			read_json(line, message, level);
	}
}

static void test_cut(void **state)
{
	(void)state;
	static const struct {
		const char *piece;
		size_t piece_length;
	} cases[] = {{"x", 1}, {"\xc3\xa4", 2}, {"\xf0\x9f\x90\x98", 4}, {"\x01", 4}, {"\"", 2}};
	char text[8000], message[4096], level[4096];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		text[0] = '\0';
		while (strlen(text) < 7000)
			strcat(text, cases[i].piece);
		use(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_SINK_STDERR);
		const char *line = one_line(text);
		size_t length = strlen(line);
		assert_true(length > LINE_BYTES_MAX - 8);
		assert_string_equal(line + length - 3, "...");
		assert_int_equal(cases[i].piece[0] == '"' ? 0 : (length - 33) % cases[i].piece_length, 0);

		use(LOG_LEVEL_INFO, LOG_FORMAT_JSON, LOG_SINK_STDERR);
		read_json(one_line(text), message, level);
		assert_string_equal(message + strlen(message) - 3, "...");
	}
	use(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_SINK_STDERR);
	memset(text, 'x', sizeof(text));
	text[LINE_BYTES_MAX - 40] = '\0';
	assert_int_equal(strlen(one_line(text)), LINE_BYTES_MAX - 10); /* not cut */
}

static void test_levels(void **state)
{
	(void)state;
	static const int expected[] = {1, 2, 3, 4}; /* lines at each level */

	for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
		use((enum log_level)level, LOG_FORMAT_TEXT, LOG_SINK_STDERR);
		catch();
		log_error("1");
		log_warn("2");
		log_info("3");
		log_debug("4");
		int lines = 0;
		for (const char *s = release(); *s; s++)
			lines += *s == '\n';
		assert_int_equal(lines, expected[level]);
		assert_int_equal(log_wants(LOG_LEVEL_DEBUG), level == LOG_LEVEL_DEBUG);
	}
}

static void test_syslog(void **state)
{
	(void)state;
	char message[4096], level[4096];

	use(LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT, LOG_SINK_SYSLOG);
	catch();
	log_error("send: put failed key=%s", "100%n\n");
	assert_string_equal(release(), "");
	assert_string_equal(syslog_line, "send: put failed key=100%n\\x0a");
	assert_int_equal(syslog_priority, LOG_ERR);
	log_debug("x");
	assert_int_equal(syslog_priority, LOG_DEBUG);
	use(LOG_LEVEL_DEBUG, LOG_FORMAT_JSON, LOG_SINK_SYSLOG);
	log_info("y");
	assert_int_equal(syslog_priority, LOG_INFO);
	read_json(syslog_line, message, level);
	assert_string_equal(message, "y");
	assert_string_equal(level, "info");
}

static void test_errno_is_kept(void **state)
{
	(void)state;
	use(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_SINK_STDERR);
	int saved = dup(STDERR_FILENO);
	close(STDERR_FILENO); /* a log that cannot be written harms nobody */
	errno = ENOSPC;
	log_error("lost");
	int after = errno;
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_int_equal(after, ENOSPC);
}

static void *write_lines(void *arg)
{
	for (int i = 0; i < 100; i++)
		log_info("from %c with more bytes that could be torn apart", *(char *)arg);
	return NULL;
}

static void test_journal_stream(void **state)
{
	(void)state;
	use(LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT, LOG_SINK_JOURNAL_STREAM);
	assert_string_equal(one_line("<0>a\nb"), "<4><0>a\\x0ab");
	use(LOG_LEVEL_DEBUG, LOG_FORMAT_JSON, LOG_SINK_JOURNAL_STREAM);
	assert_memory_equal(one_line("x"), "<4>{\"time\":", 11);
}

static void test_threads(void **state)
{
	(void)state;
	char names[] = "abcd";
	pthread_t threads[4];
	int lines = 0;

	use(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_SINK_STDERR);
	catch();
	for (int i = 0; i < 4; i++)
		assert_int_equal(thread_start(&threads[i], "log", write_lines, &names[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (char *line = strtok((char *)release(), "\n"); line; line = strtok(NULL, "\n")) {
		assert_true(is_time(line));
		assert_string_equal(line + 36, " with more bytes that could be torn apart");
		lines++;
	}
	assert_int_equal(lines, 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),    cmocka_unit_test(test_json),
		cmocka_unit_test(test_rubbish), cmocka_unit_test(test_cut),
		cmocka_unit_test(test_levels),  cmocka_unit_test(test_syslog),
		cmocka_unit_test(test_threads), cmocka_unit_test(test_errno_is_kept),
		cmocka_unit_test(test_journal_stream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
