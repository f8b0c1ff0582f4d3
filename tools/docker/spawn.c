/* tootfs makes a daemon of itself: the process that is started here waits until the mount answers, and ends with 0, or with
 * one line on stderr. If it is killed before, the daemon sees that nobody wants it and undoes the mount.
 *
 * It inherits none of our descriptors, no signal mask, and nothing of what systemd tells us about ourselves in the
 * environment. What it logs goes to syslog. */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cache/base/clock.h"
#include "cache/base/lock.h"

enum { SAID_MAX = 2000 };

extern char **environ;

/* How many children somebody waits for; children guards it. The process has one set of children, whoever asks. */
static struct lock children = {PTHREAD_MUTEX_INITIALIZER};
static unsigned waited_for;

static void expect_child(int count)
{
	lock_take(&children);
	waited_for += (unsigned)count;
	lock_drop(&children);
}

static char **environment(void)
{
	static const char *const ours[] = {"LISTEN_", "NOTIFY_SOCKET=", "WATCHDOG_", "MAINPID="};
	size_t count = 0, kept = 0;
	char **copy;

	while (environ[count])
		count++;
	copy = calloc(count + 1, sizeof(*copy));
	for (size_t i = 0; copy && i < count; i++) {
		bool is_ours = false;

		for (size_t k = 0; k < sizeof(ours) / sizeof(*ours); k++)
			is_ours = is_ours || strncmp(environ[i], ours[k], strlen(ours[k])) == 0;
		if (!is_ours)
			copy[kept++] = environ[i];
	}
	return copy;
}

static int start(const struct spawn *spawn, int said_fd, pid_t *pid)
{
	char *argv[] = {(char *)(uintptr_t)spawn->program,
			(char *)(uintptr_t)spawn->spec,
			(char *)(uintptr_t)spawn->mountpoint,
			(char *)(uintptr_t)(spawn->options[0] ? "-o" : NULL),
			(char *)(uintptr_t)spawn->options,
			NULL};
	char **env = environment();
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int error = ENOMEM;

	if (!env)
		return -ENOMEM;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	posix_spawn_file_actions_init(&actions);
	if (!posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) &&
	    !posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0) &&
	    !posix_spawn_file_actions_adddup2(&actions, said_fd, 2) &&
	    !posix_spawn_file_actions_addclosefrom_np(&actions, 3))
		error = posix_spawnp(pid, spawn->program, &actions, &attributes, argv, env);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	free(env);
	return -error;
}

/* Until it ended, or the time is over. What it says is taken meanwhile; false = out of time. */
static bool wait_for(int ended_fd, int said_fd, int64_t deadline_ms, struct buf *said)
{
	struct pollfd fds[2] = {{.fd = ended_fd, .events = POLLIN}, {.fd = said_fd, .events = POLLIN}};
	char text[512];

	for (;;) {
		int64_t left_ms = deadline_ms - clock_ms();
		ssize_t n;

		if (left_ms <= 0)
			return false;
		if (poll(fds, 2, (int)left_ms) < 0 && errno != EINTR)
			return false;
		if (fds[1].revents) {
			n = read(said_fd, text, sizeof(text));
			if (n > 0 && said->length < SAID_MAX)
				buf_append(said, text, (size_t)n);
			else if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
				fds[1].fd = -1;
			continue;
		}
		if (fds[0].revents)
			return true;
	}
}

/* "tootfs: what\n" → "what"; several lines become one. */
static void say(const struct buf *said, struct buf *why)
{
	const char *text = buf_string(said);
	size_t end = strlen(text);

	if (strncmp(text, "tootfs: ", 8) == 0) {
		text += 8;
		end -= 8;
	}
	while (end && text[end - 1] == '\n')
		end--;
	for (size_t i = 0; i < end; i++)
		buf_append(why, text[i] == '\n' ? " " : &text[i], 1);
	if (!end)
		buf_text(why, "the filesystem ended without a word");
}

static int finish(const struct spawn *spawn, pid_t pid, int said_fd, struct buf *why)
{
	AUTO_CLOSE int ended_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	AUTO_BUF struct buf said = BUF_EMPTY;
	bool ended = ended_fd >= 0 && wait_for(ended_fd, said_fd, clock_ms() + spawn->timeout_ms, &said);
	int status = 0;

	if (!ended)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!ended) {
		buf_printf(why, "the filesystem was not ready within %lld s", (long long)spawn->timeout_ms / 1000);
		return -ETIMEDOUT;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	say(&said, why);
	return -EIO;
}

int spawn_mount(const struct spawn *spawn, struct buf *why)
{
	int said[2], error;
	pid_t pid;

	if (pipe2(said, O_CLOEXEC)) {
		error = -errno;
		buf_text(why, strerror(errno));
		return error;
	}
	expect_child(1);
	error = start(spawn, said[1], &pid);
	close(said[1]);
	if (error)
		buf_printf(why, "%s cannot be started: %s", spawn->program, strerror(-error));
	else
		error = finish(spawn, pid, said[0], why);
	close(said[0]);
	expect_child(-1);
	return error;
}

/* A child that somebody waits for is left to him: then none is taken. */
void spawn_reap(void)
{
	lock_take(&children);
	while (waited_for == 0 && waitpid(-1, NULL, WNOHANG) > 0)
		;
	lock_drop(&children);
}
