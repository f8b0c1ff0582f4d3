/* The life of a mount.
 *
 *                 mounted ──── umount(8), the last user leaves ───────────┐
 *                    │                                                    v
 *     SIGTERM, SIGINT: umount; if busy, lazily: no new opens        loop over: unmount, close
 * handles │                                                    ^ who writes gets GRACE_MS to close;
 * a second signal: at once ────────┘  fuse_session_exit
 *
 * The kernel's end of the connection outlives the mount as long as a file is open, or as another
 * mount namespace (a container's) holds a copy; that is why a signal cannot just unmount and wait.
 *
 * /dev/fuse is closed (session_unmount) only when no read is under way and notify has ended: a late
 * reply must not hit another file that got the same number. */
#include "session.h"
#include "stack.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "dispatch.h"
#include "greeting.h"
#include "handles.h"
#include "lowlevel.h"
#include "mount.h"

enum {
	GRACE_MS = 5000, /* for files that are being written when a signal comes */
	SETTLE_MS = 500, /* for the kernel to end a connection that nobody uses */
	DAY_S = 24 * 3600,
};

static void log_libfuse(enum fuse_log_level level, const char *format, va_list arguments)
{
	char text[512];

	vsnprintf(text, sizeof(text), format, arguments);
	text[strcspn(text, "\n")] = 0;
	if (level <= FUSE_LOG_ERR)
		log_error("libfuse: %s", text);
	else
		log_debug("libfuse: %s", text);
}

/* fsname ends at a comma and takes backslashes as escapes. */
static void add_source(struct buf *options, const char *spec)
{
	buf_text(options, ",fsname=");
	for (; *spec; spec++) {
		if (*spec == ',' || *spec == '\\')
			buf_text(options, "\\");
		buf_append(options, spec, 1);
	}
}

static int open_channel(struct session *session, struct buf *why)
{
	const struct session_config *config = session->config;
	AUTO_BUF struct buf options = BUF_EMPTY;
	int error;

	buf_text(&options, "default_permissions,subtype=tootfs");
	buf_text(&options, config->allow_other ? ",allow_other" : "");
	if (config->mount_options[0])
		buf_printf(&options, ",%s", config->mount_options);
	buf_text(&options, config->ro ? ",ro" : "");
	add_source(&options, config->spec);
	if (options.failed)
		return -ENOMEM;
	error = mount_open(config->mountpoint, options.data, &session->fd, why);
	if (error == 0)
		session->device = mount_device(config->mountpoint);
	return error;
}

static int open_libfuse(struct session *session)
{
	char *argv[] = {"tootfs", NULL};
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);

	fuse_set_log_func(log_libfuse);
	session->fuse = fuse_session_new(&args, &dispatch_ops, sizeof(dispatch_ops), session);
	fuse_opt_free_args(&args);
	return session->fuse ? greeting_attach(session) : -ENOMEM;
}

/* Soon after the loop: later the device number may be another mount's. */
static void forsake(struct session *session)
{
	if (!session->left &&
	    mount_leave(session->config->mountpoint, session->device, MOUNT_LEAVE_LAZY))
		log_debug("session: there is nothing to unmount");
	session->left = true;
}

int session_mount(const struct session_config *config, struct cache *cache, struct session **out,
		  struct buf *why)
{
	struct session *session = calloc(1, sizeof(*session));
	int error;

	if (!session)
		return -ENOMEM;
	session->config = config;
	session->cache = cache;
	session->timeout_s = config->shared_s ? config->shared_s : DAY_S;
	session->fd = -1;
	session->main = pthread_self();
	lock_init(&session->lock);
	wakeup_init(&session->idle);
	list_init(&session->locked.handles);
	error = open_channel(session, why);
	if (error == 0) {
		error = open_libfuse(session);
		if (error == 0)
			error = notify_start(&session->notify, session->fuse);
		if (error)
			forsake(session);
	}
	if (error && !why->length)
		buf_printf(why, "the mount cannot be served: %s", strerror(-error));
	if (error)
		session_close(&session);
	*out = session;
	return error;
}

static void changed(void *arg, uint64_t ino)
{
	struct session *session = arg;

	notify_changed(&session->notify, ino);
}

static void named(void *arg, uint64_t parent, const char *name)
{
	struct session *session = arg;

	notify_named(&session->notify, parent, name);
}

static void settle(void *arg)
{
	struct session *session = arg;

	notify_settle(&session->notify);
}

struct cache_watcher session_watcher(struct session *session)
{
	return (struct cache_watcher){.changed = changed, .named = named, .settle = settle, .arg = session};
}

int session_loop(struct session *session)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int error = -ENOMEM;

	if (config) {
		fuse_loop_cfg_set_max_threads(config, SESSION_THREADS_MAX);
		fuse_loop_cfg_set_clone_fd(config, 0);
		error = fuse_session_loop_mt(session->fuse, config);
		fuse_loop_cfg_destroy(config);
	}
	lock_take(&session->lock);
	session->locked.ended = true;
	lock_drop(&session->lock);
	return error > 0 ? -error : error;
}

static void leave(struct session *session)
{
	const char *mountpoint = session->config->mountpoint;
	int error = mount_leave(mountpoint, session->device, MOUNT_LEAVE_IDLE);

	if (error == -EBUSY) {
		log_info("session: %s is in use; files being written have %d s to be closed",
			 mountpoint, GRACE_MS / 1000);
		error = mount_leave(mountpoint, session->device, MOUNT_LEAVE_LAZY);
	}
	session->left = error == 0;
	if (error && error != -EINVAL)
		log_warn("session: %s cannot be unmounted error=%s", mountpoint, strerror(-error));
}

bool session_stop(struct session *session, unsigned count)
{
	unsigned writers;
	bool ended;
	int64_t waited_ms;

	lock_take(&session->lock);
	writers = session->locked.writers_count;
	ended = session->locked.ended;
	lock_drop(&session->lock);
	if (ended)
		return true;
	if (session->stop_ms == 0) {
		session->stop_ms = clock_ms();
		leave(session);
		return false;
	}
	waited_ms = clock_ms() - session->stop_ms;
	if (waited_ms < (writers && count < 2 ? GRACE_MS : SETTLE_MS))
		return false;
	/* The loop looks at the flag when its thread wakes; the signal may come too early, hence
	 * each time. */
	fuse_session_exit(session->fuse);
	pthread_kill(session->main, SIGUSR1);
	return false;
}

/* Who still has something open, or sees the mount in another namespace, gets ENOTCONN from now on.
 * A request that is left in the kernel would otherwise keep its pages locked, and notify waiting
 * for them. */
static void cut_off(struct session *session)
{
	struct pollfd connection = {.fd = session->fd};
	char path[64];
	int fd;

	if (poll(&connection, 1, 0) == 0) {
		snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%u/abort",
			 minor(session->device));
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "1", 1) != 1)
			log_debug("session: %s cannot be written", path);
		if (fd >= 0)
			close(fd);
	}
	/* Ends it too, if no thread is inside. The number stays taken until session_close. */
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		dup3(fd, session->fd, O_CLOEXEC);
		close(fd);
	}
}

void session_unmount(struct session *session)
{
	forsake(session);
	stack_clear(session->config->mountpoint, session->config->spec);
	lock_take(&session->lock);
	while (session->locked.reads_count)
		wakeup_wait(&session->idle, &session->lock);
	lock_drop(&session->lock);
	cut_off(session);
	notify_stop(&session->notify);
	handle_close_all(session);
}

void session_close(struct session **session)
{
	struct session *s = *session;

	*session = NULL;
	notify_stop(&s->notify);
	if (s->fuse)
		fuse_session_destroy(s->fuse);
	else if (s->fd >= 0)
		close(s->fd);
	wakeup_destroy(&s->idle);
	lock_destroy(&s->lock);
	free(s);
}

void session_read_begin(struct session *session)
{
	lock_take(&session->lock);
	session->locked.reads_count++;
	lock_drop(&session->lock);
}

void session_read_end(struct session *session)
{
	lock_take(&session->lock);
	if (--session->locked.reads_count == 0)
		wakeup_all(&session->idle);
	lock_drop(&session->lock);
}
