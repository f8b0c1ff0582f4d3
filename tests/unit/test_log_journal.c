/* Entries caught at a socket in the journal's place, and stderr recognised by what JOURNAL_STREAM says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "cache/base/log_journal.h"

static char folder[] = "/tmp/tootfs-journal-XXXXXX", path[64];

static int listen_there(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	strcpy(name.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	return fd;
}

static const char *next(int fd)
{
	static char text[1024];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void entries_arrive(void **state)
{
	char wanted[200], too_long[300];
	int fd;

	(void)state;
	assert_false(log_journal_open(path)); /* nobody is there */
	assert_false(log_journal_send(4, "x", 1));
	fd = listen_there();
	assert_true(log_journal_open(path));
	assert_true(log_journal_send(4, "send: put failed=1", 8));
	snprintf(wanted, sizeof(wanted),
		 "PRIORITY=4\nSYSLOG_IDENTIFIER=tootfs\nSYSLOG_PID=%ld\nMESSAGE=send: pu\n", (long)getpid());
	assert_string_equal(next(fd), wanted);
	/* The journal is started anew. */
	close(fd);
	unlink(path);
	assert_false(log_journal_send(3, "lost", 4));
	fd = listen_there();
	assert_true(log_journal_send(3, "back", 4));
	assert_non_null(strstr(next(fd), "PRIORITY=3\n"));
	close(fd);
	memset(too_long, 'a', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	assert_false(log_journal_open(too_long));
}

static void stderr_is_recognised(void **state)
{
	char text[100];
	struct stat st;

	(void)state;
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	unsetenv("JOURNAL_STREAM");
	assert_false(log_journal_is_stderr());
	snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", text, 1);
	assert_true(log_journal_is_stderr());
	strcat(text, "x");
	setenv("JOURNAL_STREAM", text, 1);
	assert_false(log_journal_is_stderr());
	snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino + 1);
	setenv("JOURNAL_STREAM", text, 1);
	assert_false(log_journal_is_stderr());
	setenv("JOURNAL_STREAM", "", 1);
	assert_false(log_journal_is_stderr());
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(entries_arrive), cmocka_unit_test(stderr_is_recognised)};

	if (!mkdtemp(folder))
		return 1;
	snprintf(path, sizeof(path), "%s/socket", folder);
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	rmdir(folder);
	return r;
}
