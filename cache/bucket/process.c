/* A key from a program: credential_process of a profile.
 *
 * "AWS SDKs and Tools Reference Guide", Process credential provider. The setting is split into
 * words at blanks, with quotes and backslashes, and the program is run directly, as botocore does
 * it: there is no shell, so no $NAME, ~ or ; means anything.
 *
 * The program gets our environment (that is where it finds its own settings), /dev/null for stdin
 * and stderr (what a credential tool says there may hold a secret, and our log is read by others),
 * a pipe for stdout, and no other descriptor. Its signals are as for a new program, and its session
 * is its own, so that Ctrl-C for us is not for it. It has a minute, as in AWS's SDK for Go; then
 * its process group is killed. A process that it leaves behind with the pipe open is not waited
 * for. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include "answers.h"
#include "cache/base/clock.h"
#include "ops.h"
#include "recipe.h"
#include "settings.h"

enum { PROCESS_MS = 60 * 1000, SLICE_MS = 50, WORDS_MAX = 64 };

struct running {
	pid_t pid;
	int out; /* its stdout */
	int64_t deadline_ms;
	char *answer; /* ANSWERS_BYTES_MAX + 1 */
	size_t length;
	bool ended;
	int status;
};

extern char **environ;

static int set_actions(posix_spawn_file_actions_t *actions, int out)
{
	int e = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);

	if (e == 0)
		e = posix_spawn_file_actions_adddup2(actions, out, 1);
	if (e == 0)
		e = posix_spawn_file_actions_addopen(actions, 2, "/dev/null", O_WRONLY, 0);
	if (e == 0)
		e = posix_spawn_file_actions_addclosefrom_np(actions, 3);
	return e;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t all, none;
	int e;

	sigfillset(&all);
	sigemptyset(&none);
	e = posix_spawnattr_setsigdefault(attributes, &all);
	if (e == 0)
		e = posix_spawnattr_setsigmask(attributes, &none);
	if (e == 0)
		e = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF |
							     POSIX_SPAWN_SETSIGMASK |
							     POSIX_SPAWN_SETSID);
	return e;
}

/* 0 or an errno. */
static int spawn(char *const argv[], int out, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int e = posix_spawn_file_actions_init(&actions);

	if (e)
		return e;
	e = posix_spawnattr_init(&attributes);
	if (e == 0) {
		e = set_actions(&actions, out);
		if (e == 0)
			e = set_attributes(&attributes);
		if (e == 0)
			e = posix_spawnp(pid, argv[0], &actions, &attributes, argv, environ);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return e;
}

/* 1 = there may be more, 0 = the end, -E2BIG. */
static int read_some(struct running *p)
{
	struct pollfd ready = {.fd = p->out, .events = POLLIN};
	char one;
	ssize_t n;

	if (poll(&ready, 1, SLICE_MS) <= 0)
		return 1;
	n = p->length < ANSWERS_BYTES_MAX
		? read(p->out, p->answer + p->length, ANSWERS_BYTES_MAX - p->length)
		: read(p->out, &one, 1);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 1 : 0;
	if (n > 0 && p->length == ANSWERS_BYTES_MAX)
		return -E2BIG;
	p->length += (size_t)n;
	return n > 0;
}

static void look_whether_ended(struct running *p)
{
	if (!p->ended && waitpid(p->pid, &p->status, WNOHANG) == p->pid)
		p->ended = true;
}

/* Until the program has ended, and its output too or what is there of it. */
static int follow(struct running *p, const atomic_bool *stop)
{
	int more = 1;

	while (more > 0 || !p->ended) {
		bool ended = p->ended;

		if (atomic_load(stop))
			return -ECANCELED;
		if (clock_ms() >= p->deadline_ms)
			return -ETIMEDOUT;
		if (more > 0)
			more = read_some(p);
		else
			poll(NULL, 0, SLICE_MS);
		if (more < 0)
			return more;
		if (ended) /* and what it had written was read */
			more = 0;
		look_whether_ended(p);
	}
	return 0;
}

static void kill_off(struct running *p)
{
	if (p->ended)
		return;
	if (kill(-p->pid, SIGKILL))
		kill(p->pid, SIGKILL);
	while (waitpid(p->pid, &p->status, 0) < 0 && errno == EINTR)
		;
	p->ended = true;
}

static int judge(const struct recipe *recipe, const struct running *p, int r,
		 struct credentials *out)
{
	switch (r) {
	case 0:
		break;
	case -ECANCELED:
		return fault_set(r, false, "stopped");
	case -ETIMEDOUT:
		return fault_set(-EACCES, true, "%s: the program did not end within %d s",
				 recipe->from, PROCESS_MS / 1000);
	default:
		return fault_set(-EACCES, false, "%s: the program prints more than any key",
				 recipe->from);
	}
	if (WIFSIGNALED(p->status))
		return fault_set(-EACCES, true, "%s: the program died of SIG%s", recipe->from,
				 sigabbrev_np(WTERMSIG(p->status)));
	if (WEXITSTATUS(p->status) != 0)
		return fault_set(-EACCES, true,
				 "%s: the program failed with status %d; run it by hand to see why",
				 recipe->from, WEXITSTATUS(p->status));
	return answers_json(p->answer, p->length, ANSWERS_PROCESS, recipe->from, out);
}

static int run(const struct recipe *recipe, char *const argv[], const atomic_bool *stop,
	       struct credentials *out)
{
	struct running p = {.deadline_ms = clock_ms() + PROCESS_MS};
	int fds[2], e, r;

	p.answer = malloc(ANSWERS_BYTES_MAX + 1);
	if (!p.answer || pipe2(fds, O_CLOEXEC)) {
		free(p.answer);
		return fault_set(-ENOMEM, true, "no memory or descriptors for a program");
	}
	p.out = fds[0];
	e = spawn(argv, fds[1], &p.pid);
	close(fds[1]);
	if (e) {
		r = fault_set(-EACCES, false, "%s: the program %.200s cannot be run: %s",
			      recipe->from, argv[0], strerror(e));
	} else {
		r = follow(&p, stop);
		kill_off(&p);
		r = judge(recipe, &p, r, out);
	}
	close(p.out);
	explicit_bzero(p.answer, ANSWERS_BYTES_MAX + 1);
	free(p.answer);
	return r;
}

int process_get(const struct recipe *recipe, const atomic_bool *stop, struct credentials *out)
{
	char command[sizeof(recipe->command)], *argv[WORDS_MAX + 1];
	int count, r;

	memcpy(command, recipe->command, sizeof(command));
	count = settings_words(command, argv, WORDS_MAX);
	if (count <= 0) {
		r = fault_set(-EACCES, false, "%s: a quote is not closed, or there are no words",
			      recipe->from);
	} else {
		argv[count] = NULL;
		r = run(recipe, argv, stop, out);
	}
	explicit_bzero(command, sizeof(command));
	return r;
}
