/* fsck.tootfs: options → one of the ways → an exit status.
 *
 *     --orphans-of   the bucket against a list; no cache is touched
 *     --rebuild      the index anew
 *     else           check: offline where the cache is free, by its daemon where it is mounted
 *
 * SIGINT and SIGTERM are taken by a thread of its own, made after the cache is open (which forks). What was mended stays. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "cache/base/clock.h"
#include "fsck.h"

static sigset_t signals;

static void *watch(void *arg)
{
	struct fsck *f = arg;
	int which;

	while (sigwait(&signals, &which) == 0) {
		bool second = atomic_exchange(&f->cancelled, true);
		if (second)
			_exit(FSCK_CANCELLED);
		lock_take(&f->lock);
		if (f->cache)
			cache_interrupt(f->cache);
		lock_drop(&f->lock);
	}
	return NULL;
}

void fsck_uses(struct fsck *f, struct cache *cache)
{
	lock_take(&f->lock);
	f->cache = cache;
	lock_drop(&f->lock);
}

static int watch_signals(struct fsck *f)
{
	pthread_t thread;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	int r = thread_start(&thread, "signals", watch, f);
	if (!r)
		pthread_detach(thread);
	return r;
}

static int run(struct fsck *f)
{
	int status;

	f->interactive = f->mode == FSCK_ASK && !f->json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	f->began_ms = clock_ms();
	f->config.log.level = LOG_LEVEL_ERROR;
	log_setup(&f->config.log);
	progress_begin(&f->progress, stderr);
	if (watch_signals(f)) {
		complain("no thread can be started");
		return FSCK_ERROR;
	}
	if (f->known)
		return check_orphans(f);
	if (f->rebuild)
		return rebuild(f);
	status = check_offline(f);
	return status < 0 ? check_live(f) : status;
}

int main(int argc, char **argv)
{
	struct fsck f = {.progress_fd = -1};
	AUTO_BUF struct buf why = BUF_EMPTY;
	int status = FSCK_CLEAN, r;

	lock_init(&f.lock);
	config_init(&f.config);
	r = options_parse(&f, argc, argv, &why);
	if (r) {
		complain("%s", why.length ? buf_string(&why) : strerror(-r));
		status = FSCK_USAGE;
	} else if (f.help) {
		options_help(stdout);
	} else if (f.version) {
		puts("fsck.tootfs " TOOTFS_VERSION);
	} else {
		f.config.bucket.user_agent = "fsck.tootfs/" TOOTFS_VERSION;
		status = run(&f);
	}
	if ((fflush(stdout) || ferror(stdout)) && status < FSCK_ERROR)
		status = FSCK_ERROR;
	config_destroy(&f.config);
	return status;
}
