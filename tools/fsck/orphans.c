/* --orphans-of LIST: what the bucket has and the list has not, and the reverse. The list may be in any order and of any length:
 * sort(1) sorts it, in bounded memory, with its files in $TMPDIR.
 *
 * Lines are paths as in the mount; a leading slash, "./" and empty lines are passed over. A line that ends in '/' would be a
 * folder: it is no key. */
#include <errno.h>
#include <inttypes.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "fsck.h"

struct known {
	struct fsck *fsck;
	FILE *lines;
	pid_t sorter;
	char *line, *last;
	size_t space, last_space;
	bool failed;
};

static const char *clean(char *line, ssize_t length)
{
	if (length && line[length - 1] == '\n')
		line[--length] = '\0';
	if (length && line[length - 1] == '\r')
		line[--length] = '\0';
	return (size_t)length == strlen(line) ? line : "";
}

static const char *next(void *arg)
{
	struct known *k = arg;
	ssize_t length;

	while ((length = getline(&k->line, &k->space, k->lines)) >= 0) {
		const char *text = clean(k->line, length);
		size_t bytes = strlen(text);
		if (!bytes || (k->last && strcmp(text, k->last) == 0))
			continue;
		if (bytes >= k->last_space) {
			char *more = realloc(k->last, bytes + 256);
			if (!more)
				break;
			k->last = more;
			k->last_space = bytes + 256;
		}
		memcpy(k->last, text, bytes + 1);
		return k->last;
	}
	k->failed = length >= 0 || ferror(k->lines);
	return NULL;
}

static void only(void *arg, const char *key, bool in_bucket, uint64_t size)
{
	struct known *k = arg;
	AUTO_BUF struct buf text = BUF_EMPTY;

	if (k->fsck->json) {
		report_json(json_pack("{s:{so sI}}", in_bucket ? "only_in_bucket" : "only_in_list", "key", report_text(key),
				      "size", (json_int_t)size));
		return;
	}
	for (; *key; key++) /* a line a key */
		if (*key == '\n' || *key == '\\')
			buf_printf(&text, "\\x%02x", *key);
		else
			buf_append(&text, key, 1);
	if (in_bucket)
		printf("+ %" PRIu64 "\t%s\n", size, buf_string(&text));
	else
		printf("-\t%s\n", buf_string(&text));
}

static bool cancelled(void *arg)
{
	const struct known *k = arg;

	return report_cancelled(k->fsck);
}

/* sed takes what is no part of a key off each line, sort sorts. */
static int start_sort(struct known *k, const char *list)
{
	static char command[] = "exec 3<&0; sed -e 's|^\\./||' -e 's|^/*||' <&3 | sort -u -S 64M";
	char *const argv[] = {(char[]){"sh"}, (char[]){"-c"}, command, NULL};
	char lang[] = "LC_ALL=C", path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", folder[4200];
	const char *tmp = getenv("TMPDIR");
	posix_spawn_file_actions_t actions;
	sigset_t none;
	posix_spawnattr_t attributes;
	int ends[2], r;

	snprintf(folder, sizeof(folder), "TMPDIR=%s", tmp && *tmp ? tmp : "/var/tmp");
	char *const environment[] = {lang, path, folder, NULL};
	AUTO_CLOSE int in = strcmp(list, "-") == 0 ? dup(STDIN_FILENO) : open(list, O_RDONLY | O_CLOEXEC);
	if (in < 0 || pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	r = -posix_spawn(&k->sorter, "/bin/sh", &actions, &attributes, argv, environment);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	close(ends[1]);
	k->lines = r ? NULL : fdopen(ends[0], "r");
	if (!k->lines)
		close(ends[0]);
	return r ? r : k->lines ? 0 : -ENOMEM;
}

static int end_sort(struct known *k)
{
	int status = 0;

	if (k->lines)
		fclose(k->lines);
	if (k->sorter > 0 && waitpid(k->sorter, &status, 0) != k->sorter)
		status = -1;
	free(k->line);
	free(k->last);
	return k->failed || status ? -EIO : 0;
}

static int end(struct fsck *f, const struct check_known_sums *s)
{
	AUTO_BUF struct buf text = BUF_EMPTY;

	text_bytes(&text, s->object_bytes);
	if (f->json)
		report_json(json_pack("{s:{sI sI sI sI}}", "end", "both", (json_int_t)s->both, "only_in_bucket",
				      (json_int_t)s->objects, "only_in_bucket_bytes", (json_int_t)s->object_bytes,
				      "only_in_list", (json_int_t)s->missing));
	else
		fprintf(stderr, "%" PRIu64 " in both; %" PRIu64 " only in the bucket (%s); %" PRIu64 " only in the list\n",
			s->both, s->objects, buf_string(&text), s->missing);
	return s->objects || s->missing ? FSCK_LEFT : FSCK_CLEAN;
}

int check_orphans(struct fsck *f)
{
	struct known k = {.fsck = f};
	const struct check_known_visitor visitor = {.only = only, .cancelled = cancelled, .arg = &k};
	AUTO_BUF struct buf why = BUF_EMPTY;
	struct check_known_sums sums;
	int r = start_sort(&k, f->known);

	if (r) {
		complain("%s: %s", f->known, strerror(-r));
		return FSCK_USAGE;
	}
	r = check_known(&f->config, next, &k, &visitor, &sums, &why);
	int sorted = end_sort(&k);
	if (report_cancelled(f))
		return FSCK_CANCELLED;
	if (!r && !sorted)
		return end(f, &sums);
	complain("%s", r ? buf_string(&why) : "the list cannot be sorted; is there room in $TMPDIR?");
	return FSCK_ERROR;
}
