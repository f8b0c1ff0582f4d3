/* Which mount a path lies in, without relying on its daemon:
 *
 *     path   -> absolute, its folder without symlinks   (asks the daemon: in a thread that may be left behind)
 *            -> the mount with the longest prefix, from /proc/self/mountinfo
 *            -> its user.tootfs.control                  (likewise)
 *
 * A request that a dead or stopped daemon does not answer cannot be interrupted, but it ends with the process. */
#include "client.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include "cache/base/clock.h"
#include "cache/base/key.h"
#include "cache/base/lock.h"

#define SOCKET_XATTR "user.tootfs.control"

struct mount {
	char *folder, *root; /* where it is mounted, and which of its folders */
	int64_t uid;
};

struct search {
	char *path;
	struct lock lock;
	struct wakeup done;
	struct client_place place;
	struct buf why;
	int result;
	bool over, left; /* nobody waits any more */
};

/* -- mountinfo -- */

/* \040 and its like, in place. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		unsigned value = 0;
		int digits = 0;

		while (*from == '\\' && digits < 3 && from[digits + 1] >= '0' && from[digits + 1] <= '7')
			value = value * 8 + (unsigned)(from[++digits] - '0');
		if (digits == 3) {
			*to++ = (char)value;
			from += 3;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
}

/* ID PARENT DEVICE ROOT FOLDER OPTIONS [FIELD...] - TYPE SOURCE SUPEROPTIONS. True: ours. */
static bool parse_mount(char *line, char **folder, char **root, int64_t *uid)
{
	char *words[5], *rest = line, *tail = strstr(line, " - "), *user;

	for (int i = 0; i < 5; i++) {
		words[i] = strsep(&rest, " ");
		if (!words[i] || !rest)
			return false;
	}
	if (!tail || tail < rest || strncmp(tail, " - fuse.tootfs ", strlen(" - fuse.tootfs ")) != 0)
		return false;
	user = strstr(tail, "user_id=");
	*uid = user ? strtol(user + strlen("user_id="), NULL, 10) : -1;
	*root = words[3];
	*folder = words[4];
	unescape(*root);
	unescape(*folder);
	return true;
}

static bool is_in(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	return strcmp(folder, "/") == 0 ||
	       (strncmp(path, folder, length) == 0 && (path[length] == '/' || !path[length]));
}

/* The last one wins among equals: it lies on top. */
static int find_mount(const char *path, struct mount *out)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *folder, *root;
	size_t space = 0;
	int64_t uid;

	*out = (struct mount){.uid = -1};
	if (!file)
		return -errno;
	while (getline(&line, &space, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (!parse_mount(line, &folder, &root, &uid) || !is_in(path, folder) ||
		    (out->folder && strlen(folder) < strlen(out->folder)))
			continue;
		free(out->folder);
		free(out->root);
		*out = (struct mount){.folder = strdup(folder), .root = strdup(root), .uid = uid};
		if (!out->folder || !out->root)
			break;
	}
	free(line);
	fclose(file);
	return !out->folder ? -ENOENT : out->root ? 0 : -ENOMEM;
}

/* -- paths -- */

/* Absolute, without symlinks but in the last component, which may be one of the mount's files. */
static char *absolute(const char *path)
{
	AUTO_FREE char *copy = strdup(path);
	AUTO_FREE char *folder = NULL;
	char *slash, *name, *joined = NULL;

	if (!copy)
		return NULL;
	for (size_t length = strlen(copy); length > 1 && copy[length - 1] == '/'; length--)
		copy[length - 1] = '\0';
	slash = strrchr(copy, '/');
	name = slash ? slash + 1 : copy;
	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return realpath(copy, NULL);
	if (slash)
		*slash = '\0';
	folder = realpath(!slash ? "." : *copy ? copy : "/", NULL);
	if (!folder)
		return NULL;
	if (asprintf(&joined, "%s/%s", strcmp(folder, "/") ? folder : "", name) < 0)
		return NULL;
	return joined;
}

/* A path may also be a symlink to a mount. */
static char *target_of(const char *path)
{
	char *place = absolute(path), *real;
	struct mount mount;
	int r;

	if (!place)
		return NULL;
	r = find_mount(place, &mount);
	free(mount.folder);
	free(mount.root);
	if (r != -ENOENT)
		return place;
	real = realpath(place, NULL);
	free(place);
	return real;
}

static char *key_of(const struct mount *mount, const char *path)
{
	const char *below = path + (strcmp(mount->folder, "/") ? strlen(mount->folder) : 0);
	AUTO_BUF struct buf key = BUF_EMPTY;

	buf_text(&key, mount->root + 1);
	if (key.length && *below)
		buf_text(&key, below);
	else if (*below)
		buf_text(&key, below + 1);
	if (!key.failed && !key.length)
		return strdup("");
	return buf_steal(&key);
}

static int ask_socket(const struct mount *mount, struct client_place *out, struct buf *why)
{
	char socket[PATH_MAX];
	ssize_t n = getxattr(mount->folder, SOCKET_XATTR, socket, sizeof(socket) - 1);

	if (n > 0 && socket[0] == '/') {
		socket[n] = '\0';
		out->socket = strdup(socket);
		return out->socket ? 0 : -ENOMEM;
	}
	if (n < 0 && errno == ENOTCONN)
		buf_printf(why, "%s: its daemon is gone; unmount it, then mount it again", mount->folder);
	else if (n < 0 && (errno == EACCES || errno == ENODATA || errno == EPERM))
		buf_printf(why, "%s: only root and the user who mounted may ask", mount->folder);
	else
		buf_printf(why, "%s does not say where its control socket is: %s", mount->folder,
			   n < 0 ? strerror(errno) : "another version?");
	return n < 0 && errno != ENODATA ? -errno : -EACCES;
}

static int find(const char *given, struct client_place *out, struct buf *why)
{
	AUTO_FREE char *path = target_of(given);
	struct mount mount;
	int r;

	if (!path) {
		r = -errno;
		buf_printf(why, "%s: %s", given, strerror(errno));
		return r;
	}
	r = find_mount(path, &mount);
	if (r)
		buf_printf(why, "%s is not in a mounted tootfs", given);
	else
		r = ask_socket(&mount, out, why);
	if (!r) {
		out->key = key_of(&mount, path);
		out->mountpoint = strdup(mount.folder);
		out->uid = mount.uid;
		r = out->key && out->mountpoint ? 0 : -ENOMEM;
	}
	if (!r && strlen(out->key) > KEY_BYTES_MAX) {
		buf_printf(why, "%s: %s", given, strerror(ENAMETOOLONG));
		r = -ENAMETOOLONG;
	}
	free(mount.folder);
	free(mount.root);
	return r;
}

/* -- the thread -- */

static void search_free(struct search *s)
{
	client_place_destroy(&s->place);
	buf_destroy(&s->why);
	wakeup_destroy(&s->done);
	lock_destroy(&s->lock);
	free(s->path);
	free(s);
}

static void *run(void *arg)
{
	struct search *s = arg;
	int r = find(s->path, &s->place, &s->why);
	bool left;

	lock_take(&s->lock);
	s->result = r;
	s->over = true;
	left = s->left;
	wakeup_all(&s->done);
	lock_drop(&s->lock);
	if (left)
		search_free(s);
	return NULL;
}

static int search_end(struct search *s, pthread_t thread, struct client_place *out, struct buf *why)
{
	int64_t until_ms = clock_ms() + CLIENT_FIND_MS;
	bool over;

	lock_take(&s->lock);
	while (!s->over && wakeup_wait_until(&s->done, &s->lock, until_ms))
		;
	over = s->over;
	s->left = !over;
	lock_drop(&s->lock);
	if (!over) {
		pthread_detach(thread);
		buf_text(why, "the mount's daemon does not answer");
		return -ETIMEDOUT;
	}
	pthread_join(thread, NULL);
	int r = s->result;
	if (r) {
		buf_text(why, s->why.length ? buf_string(&s->why) : strerror(-r));
	} else {
		*out = s->place;
		s->place = (struct client_place){.uid = -1};
	}
	search_free(s);
	return r;
}

int client_find(const char *path, struct client_place *out, struct buf *why)
{
	struct search *s = calloc(1, sizeof(*s));
	pthread_t thread;
	int r;

	*out = (struct client_place){.uid = -1};
	if (!s)
		return -ENOMEM;
	lock_init(&s->lock);
	wakeup_init(&s->done);
	s->path = strdup(path);
	r = s->path ? thread_start(&thread, "find", run, s) : -ENOMEM;
	if (r) {
		search_free(s);
		buf_text(why, strerror(-r));
		return r;
	}
	return search_end(s, thread, out, why);
}

/* Its owner is who mounted: tootfs takes no other folder. */
int client_of_cache(const char *folder, struct client_place *out, struct buf *why)
{
	struct stat st;

	*out = (struct client_place){.uid = -1, .key = strdup("")};
	if (asprintf(&out->socket, "%s/control", folder) < 0)
		out->socket = NULL;
	if (stat(folder, &st) == 0)
		out->uid = st.st_uid;
	if (out->socket && out->key)
		return 0;
	buf_text(why, strerror(ENOMEM));
	client_place_destroy(out);
	return -ENOMEM;
}

void client_place_destroy(struct client_place *place)
{
	free(place->socket);
	free(place->mountpoint);
	free(place->key);
	*place = (struct client_place){.uid = -1};
}
