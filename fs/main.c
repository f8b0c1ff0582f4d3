/* One process's life: options → daemon → cache → mount → serve → drain → end.
 *
 * What was opened last is ended first, with one exception: the mount goes before the cache drains,
 * so that nobody adds to what is drained. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/base/log_journal.h"
#include "cache/cache.h"
#include "control.h"
#include "life.h"
#include "mount.h"
#include "options.h"
#include "service.h"
#include "session.h"
#include "stack.h"

enum { PROGRESS_MS = 5000, LOCK_WAIT_MS = 100 * 1000, STUCK_MS = 30 * 1000, EXTEND_MS = 15 * 1000 };

struct program {
	struct options options;
	struct life life;
	struct session_config session_config;
	_Atomic(struct session *) session;
	struct cache *cache;
	struct control_config control_config;
	struct control *control; /* NULL where it could not be made: the mount goes on without */
	bool unwanted; /* who started us died before the mount was ready */
	int64_t deadline_ms, told_ms;
	struct service service;
	struct service_watch watch;
};

static enum log_sink sink_of(const struct options *o)
{
	switch (o->config.log.place) {
	case LOG_PLACE_STDERR:
		return LOG_SINK_STDERR;
	case LOG_PLACE_SYSLOG:
		return LOG_SINK_SYSLOG;
	case LOG_PLACE_JOURNALD:
		return LOG_SINK_JOURNAL;
	case LOG_PLACE_AUTO:
		break;
	}
	if (!o->foreground)
		return LOG_SINK_SYSLOG;
	return log_journal_is_stderr() ? LOG_SINK_JOURNAL_STREAM : LOG_SINK_STDERR;
}

/* While somebody waits for the prompt, stderr gets only what he should know. */
static void setup_log(const struct options *o, bool all)
{
	struct log_config log = o->config.log;

	log.sink = all ? sink_of(o) : LOG_SINK_STDERR;
	if (!all && log.level == LOG_LEVEL_INFO)
		log.level = LOG_LEVEL_WARN;
	log_setup(&log);
}

static void ready(void *arg)
{
	struct program *p = arg;

	setup_log(&p->options, true);
	p->unwanted = !life_ready(&p->life);
	if (p->unwanted)
		kill(getpid(), SIGTERM);
	log_info("mounted bucket=%s mountpoint=%s version=%s", p->options.spec,
		 p->options.mountpoint, TOOTFS_VERSION);
	service_tell(&p->service, "READY=1\nMAINPID=%ld", (long)getpid());
}

/* Asks for what the kernel keeps no answer of, so that it goes through it to the loop, to the index, and back. Any answer is a
 * sign of life. Where most threads of the loop wait for room or for the bucket, as they should, there may be none left to
 * answer, and to be killed for that would end what goes on. */
static bool alive(void *arg)
{
	struct program *p = arg;
	struct statvfs st;

	if (cache_waiters(p->cache) < SESSION_THREADS_MAX / 2 && statvfs(p->options.mountpoint, &st))
		log_debug("service: the mount answers error=%s", strerror(errno));
	return !cache_is_stuck(p->cache, STUCK_MS);
}

static void tell_status(void *arg, struct buf *out)
{
	struct program *p = arg;
	uint64_t left = 0;
	int error = cache_pending(p->cache, &left);

	buf_printf(out, "%s on %s; ", p->options.spec, p->options.mountpoint);
	if (error)
		buf_printf(out, "what is to be sent cannot be counted: %s", strerror(-error));
	else if (left)
		buf_printf(out, "%llu files to send", (unsigned long long)left);
	else
		buf_text(out, "all is in the bucket");
}

static bool stop(void *arg, unsigned count)
{
	struct program *p = arg;
	struct session *session = atomic_load(&p->session);

	return session && session_stop(session, count);
}

static void reload(void *arg)
{
	struct program *p = arg;

	log_info("reload: SIGHUP");
	service_tell(&p->service, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_ms() * 1000);
	cache_reload(p->cache);
	service_tell(&p->service, "READY=1");
}

/* Each open file is one of ours too. */
static void raise_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

/* An unmounted tootfs may still be sending from this cache. Then wait, unless it is still mounted:
 * that would be waiting for nothing. */
static int open_cache(struct program *p, struct buf *why)
{
	const struct timespec pause = {.tv_nsec = 200 * 1000 * 1000};
	int64_t give_up_ms = clock_ms() + LOCK_WAIT_MS;
	AUTO_BUF struct buf where = BUF_EMPTY;
	bool told = false;
	int error;

	for (;;) {
		buf_clear(why);
		error = cache_open(&p->options.config, &p->cache, why);
		if (error != -EBUSY || clock_ms() >= give_up_ms)
			return error;
		if (mount_find(p->options.spec, &where)) {
			buf_printf(why, " (it is mounted on %s)", buf_string(&where));
			return error;
		}
		if (!told)
			log_info("waiting: an unmounted tootfs still sends from this cache");
		if (!told)
			service_status(&p->service, "waiting: an unmounted tootfs still sends from this cache");
		told = true;
		nanosleep(&pause, NULL);
	}
}

static void progress(void *arg, uint64_t pending_count)
{
	struct program *p = arg;
	int64_t now_ms = clock_ms();

	/* Once a second: a drain that goes on is a life. */
	service_tell(&p->service, "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=%d000\nSTATUS=waiting for %llu files to reach the bucket",
		     EXTEND_MS, (unsigned long long)pending_count);
	if (p->told_ms && now_ms - p->told_ms < PROGRESS_MS)
		return;
	p->told_ms = now_ms;
	log_info("waiting up to %lld s for %llu files to reach the bucket%s",
		 (long long)(p->deadline_ms - now_ms + 999) / 1000,
		 (unsigned long long)pending_count,
		 p->options.foreground ? " (Ctrl-C: do not wait, they stay in the cache)" : "");
}

/* In slices, since a further signal ends the wait. */
static void drain(struct program *p)
{
	unsigned stops = life_stops();
	uint64_t left = 0;
	int error = -ETIMEDOUT;

	p->deadline_ms = clock_ms() + p->options.config.stop_timeout_ms;
	while (error == -ETIMEDOUT && life_stops() <= stops && clock_ms() < p->deadline_ms) {
		int64_t slice_ms = clock_ms() + 1000;
		error = cache_drain(p->cache, slice_ms < p->deadline_ms ? slice_ms : p->deadline_ms,
				    progress, p);
	}
	if (error && cache_pending(p->cache, &left))
		log_warn("it cannot be told what is not in the bucket yet; it stays in the cache folder and goes on at the "
			 "next mount cache=%s", p->options.config.cache);
	else if (error && left)
		log_warn("%llu files are not in the bucket yet; they stay in the cache folder and "
			 "go on at "
			 "the next mount cache=%s",
			 (unsigned long long)left, p->options.config.cache);
	else if (p->told_ms)
		log_info("everything is in the bucket");
}

static void start_control(struct program *p)
{
	AUTO_BUF struct buf why = BUF_EMPTY;

	p->control_config = (struct control_config){
	    .cache = p->cache,
	    .folder = p->options.config.cache,
	    .mountpoint = p->options.mountpoint,
	    .spec = p->options.spec,
	    .metrics = p->options.config.metrics,
	};
	if (control_start(&p->control_config, &p->control, &why))
		log_error("%s; tootfsctl will not find this mount", buf_string(&why));
}

static int serve(struct program *p)
{
	struct cache_watcher watcher = session_watcher(p->session);
	AUTO_BUF struct buf why = BUF_EMPTY;
	int error = cache_start(p->cache, &watcher), status = 0;

	if (error) {
		buf_printf(&why, "the cache cannot start: %s", strerror(-error));
		status = life_fail(&p->life, EXIT_SYSTEM, buf_string(&why));
	} else {
		start_control(p);
		p->watch = (struct service_watch){alive, tell_status, p};
		if (service_watch(&p->service, &p->watch))
			log_error("no thread can be started that tells the service manager that this lives");
		error = session_loop(p->session);
		if (error)
			log_error("the connection to the kernel broke error=%s", strerror(-error));
		if (p->life.parent_fd >= 0)
			status = life_fail(&p->life, EXIT_MOUNT,
					   "unmounted before the kernel greeted it");
	}
	service_tell(&p->service, "STOPPING=1");
	session_unmount(p->session);
	service_unwatch(&p->service);
	if (status == 0)
		drain(p);
	service_tell(&p->service, "EXTEND_TIMEOUT_USEC=%d000\nSTATUS=writing the last of the index", 2 * EXTEND_MS);
	return error && status == 0 ? EXIT_SYSTEM : status;
}

static int run(struct program *p)
{
	AUTO_BUF struct buf why = BUF_EMPTY;
	struct session *session = NULL;
	int status;

	raise_limits();
	if (open_cache(p, &why))
		return life_fail(&p->life, EXIT_MOUNT, buf_string(&why));
	p->session_config = (struct session_config){
	    .spec = p->options.spec,
	    .mountpoint = p->options.mountpoint,
	    .cache_folder = p->options.config.cache,
	    .mount_options = buf_string(&p->options.mount_options),
	    .ro = p->options.config.ro,
	    .allow_other = p->options.allow_other,
	    .shared_s = p->options.config.shared_s,
	    .ready = ready,
	    .arg = p,
	};
	if (life_watch(&p->life, stop, reload, p)) {
		status = life_fail(&p->life, EXIT_SYSTEM, "no thread can be started");
	} else if (session_mount(&p->session_config, p->cache, &session, &why)) {
		status = life_fail(&p->life, EXIT_MOUNT, buf_string(&why));
	} else {
		atomic_store(&p->session, session);
		status = serve(p);
	}
	cache_interrupt(p->cache);
	control_stop(&p->control);
	cache_stop(p->cache);
	life_unwatch(&p->life);
	if (session)
		session_close(&session);
	cache_close(&p->cache);
	log_info("ended");
	return status;
}

/* Nodes that came from the bucket belong to who owns the folder that is mounted over. */
static void choose_owner(struct options *o)
{
	struct stat mountpoint;

	if (stack_dead(o->mountpoint) ? stack_below(o->mountpoint, &mountpoint)
				      : stat(o->mountpoint, &mountpoint)) {
		mountpoint.st_uid = geteuid();
		mountpoint.st_gid = getegid();
	}
	if (o->config.uid == UINT32_MAX)
		o->config.uid = mountpoint.st_uid;
	if (o->config.gid == UINT32_MAX)
		o->config.gid = mountpoint.st_gid;
}

static int check(struct options *o, struct buf *why)
{
	int error = mount_check(o->mountpoint, o->spec, why);

	if (error == 0)
		error = mount_check_apart(o->mountpoint, o->config.cache, "the cache folder", why);
	if (error == 0 && strncmp(o->spec, "file://", 7) == 0)
		error = mount_check_apart(o->mountpoint, o->spec + 7, "the bucket's folder", why);
	return error;
}

int main(int argc, char **argv)
{
	struct program p = {.options = {.wish = OPTIONS_MOUNT}};
	AUTO_BUF struct buf why = BUF_EMPTY;
	int status = 0, error = options_parse(&p.options, argc, argv, &why);

	if (error) {
		fprintf(stderr, "tootfs: %s\n", why.length ? buf_string(&why) : strerror(-error));
		status = error == -EINVAL ? EXIT_USAGE : EXIT_SYSTEM;
	} else if (p.options.wish == OPTIONS_HELP) {
		options_help(stdout);
	} else if (p.options.wish == OPTIONS_VERSION) {
		puts("tootfs " TOOTFS_VERSION);
	} else if (check(&p.options, &why)) {
		fprintf(stderr, "tootfs: %s\n", buf_string(&why));
		status = EXIT_MOUNT;
	} else if (!p.options.fake) {
		choose_owner(&p.options);
		p.options.config.bucket.user_agent = "tootfs/" TOOTFS_VERSION;
		setup_log(&p.options, p.options.foreground);
		life_start(&p.life, p.options.foreground);
		service_open(&p.service);
		status = run(&p);
		service_close(&p.service);
	}
	options_destroy(&p.options);
	return status;
}
