/* One fork: the child leads a session of its own without a terminal, and never opens one. A pipe
 * leads from it to the parent; over it goes one message, the exit status as a byte and then a text.
 * The end of the pipe without a message means that the child died, and waitpid says of what.
 *
 * The signals that matter are blocked in every thread and taken by one thread with sigtimedwait, so
 * that nothing runs in a signal handler. SIGUSR1 has an empty handler: it only wakes the main
 * thread from libfuse's wait. SIGUSR2 ends the signal thread. SIGHUP, which a closed terminal sends
 * too, reads files again and is harmless. */
#include "life.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cache/base/lock.h"
#include "cache/base/log.h"

static _Atomic unsigned stops;

static void say(const char *text)
{
	fprintf(stderr, "tootfs: %s\n", text);
}

static pid_t child; /* of the parent, for its signal handler */

/* Ctrl-C while the shell still waits. */
static void pass_on(int signal)
{
	(void)signal;
	kill(child, SIGTERM);
}

__attribute__((noreturn)) static void parent(int fd)
{
	struct sigaction passing = {.sa_handler = pass_on};
	char message[2048];
	size_t length = 0;
	ssize_t n = 1;
	int status;

	sigaction(SIGINT, &passing, NULL);
	sigaction(SIGTERM, &passing, NULL);
	while (length < sizeof(message) - 1 && n) {
		n = read(fd, message + length, sizeof(message) - 1 - length);
		if (n < 0 && errno != EINTR)
			break;
		length += n > 0 ? (size_t)n : 0;
	}
	message[length] = 0;
	if (length > 1)
		say(message + 1);
	if (length)
		_exit((unsigned char)message[0]);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	fprintf(stderr, "tootfs: ended before the mount was ready (%s)\n",
		WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "see the lines above");
	_exit(EXIT_SYSTEM);
}

void life_start(struct life *life, bool foreground)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	int fds[2];

	*life = (struct life){.parent_fd = -1};
	sigaction(SIGPIPE, &ignore, NULL);
	if (foreground)
		return;
	if (pipe2(fds, O_CLOEXEC) || (child = fork()) < 0) {
		fprintf(stderr, "tootfs: cannot become a daemon: %s\n", strerror(errno));
		exit(EXIT_SYSTEM);
	}
	if (child) {
		close(fds[1]);
		parent(fds[0]);
	}
	/* What the caller left open by mistake must not stay open for months. */
	life->parent_fd = fds[1] == 3 ? 3 : dup3(fds[1], 3, O_CLOEXEC);
	close_range(4, ~0U, 0);
	if (chdir("/"))
		log_debug("life: no / to go to");
}

static bool tell(struct life *life, int status, const char *text)
{
	char message[2048] = {(char)status};
	size_t length = strnlen(text, sizeof(message) - 1);
	bool told;

	memcpy(message + 1, text, length);
	told = write(life->parent_fd, message, length + 1) == (ssize_t)(length + 1);
	close(life->parent_fd);
	life->parent_fd = -1;
	return told;
}

bool life_ready(struct life *life)
{
	int null_fd;

	if (life->parent_fd < 0)
		return true;
	/* Not before it is mounted: for an automount the kernel lets only the group of who mounts past the folder. */
	setsid();
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd <= 2 && null_fd >= 0; fd++)
		dup2(null_fd, fd);
	if (null_fd > 2)
		close(null_fd);
	return tell(life, 0, "");
}

int life_fail(struct life *life, int status, const char *text)
{
	if (life->parent_fd < 0)
		say(text);
	else
		(void)tell(life, status, text);
	return status;
}

static void wake(int signal)
{
	(void)signal;
}

static void wanted_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGUSR2);
}

static void *watch(void *arg)
{
	static const struct timespec tick = {.tv_nsec = 100 * 1000 * 1000};
	struct life *life = arg;
	bool stopped = false;
	sigset_t set;

	wanted_signals(&set);
	for (;;) {
		unsigned count = atomic_load(&stops);
		int signal = sigtimedwait(&set, NULL, count && !stopped ? &tick : NULL);

		if (signal == SIGUSR2)
			return NULL;
		if (signal == SIGTERM || signal == SIGINT) {
			log_info("ending: SIG%s", sigabbrev_np(signal));
			count = atomic_fetch_add(&stops, 1) + 1;
		}
		if (signal == SIGHUP && !count)
			life->reload(life->arg);
		if (count && !stopped)
			stopped = life->stop(life->arg, count);
	}
}

int life_watch(struct life *life, life_stop *stop, void (*reload)(void *arg), void *arg)
{
	struct sigaction waking = {.sa_handler = wake};
	sigset_t set;
	int error;

	life->stop = stop;
	life->reload = reload;
	life->arg = arg;
	wanted_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGUSR1, &waking, NULL);
	error = thread_start(&life->thread, "signals", watch, life);
	life->watching = error == 0;
	return error;
}

void life_unwatch(struct life *life)
{
	if (!life->watching)
		return;
	pthread_kill(life->thread, SIGUSR2);
	pthread_join(life->thread, NULL);
	life->watching = false;
}

unsigned life_stops(void)
{
	return atomic_load(&stops);
}
