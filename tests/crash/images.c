/* Where: half of the cuts anywhere in the log, half beside an event that changes what is promised or what others see (a
 * sync, a checkpoint, a rename, a request and its effect). Image number N of a log is always the same.
 *
 * One in KILLS is no power cut, but a kill: nothing that was acknowledged may be lost then.
 *
 * Workers take every so manieth image, each in the order of the log, since a disk can only go forward. One in TWICE
 * is cut again: what its recovery did until some instant was recorded as well, and the image of that must come out the same. */
#include "images.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"
#include "disk.h"
#include "far.h"
#include "record.h"
#include "seams.h"

/* A recovery waits for threads and short sleeps most of the time. */
enum { WORKERS_MAX = 16, WORKERS_A_CORE = 3, TWICE = 6, KILLS = 12, IMAGE_SECONDS = 120 };

struct spot {
	size_t at;
	unsigned number;
};

/* What workers tell, in shared memory. */
struct told {
	_Atomic unsigned done, wrong, twice;
	_Atomic unsigned next[WORKERS_MAX]; /* index of the spot that a worker is at */
	uint64_t hashes[];
};

struct worker {
	const struct images *images;
	const struct spot *spots;
	struct told *told;
	unsigned number, count;
	char folder[160];
	struct log log; /* of a recovery */
};

/* -- where -- */

static bool is_interesting(const struct event *event)
{
	switch ((enum event_kind)event->kind) {
	case EVENT_SYNC:
	case EVENT_RENAME:
	case EVENT_UNLINK:
	case EVENT_COVERED:
	case EVENT_SYNCED:
	case EVENT_ASK:
	case EVENT_OBJECT:
	case EVENT_NO_OBJECT:
	case EVENT_UPLOAD_END:
		return true;
	default:
		return false;
	}
}

static int compare_spots(const void *a, const void *b)
{
	const struct spot *x = a, *y = b;
	return x->at < y->at ? -1 : x->at > y->at;
}

static size_t choose_spot(const struct log *log, size_t begin, uint64_t *random)
{
	size_t at = begin + (size_t)(draw(random) % (log->count - begin + 1));
	if (draw_below(random, 2))
		return at;
	while (at < log->count && !is_interesting(&log->events[at]))
		at++;
	at += draw_below(random, 3);
	return at < log->count ? at : log->count;
}

static struct spot *choose_spots(const struct images *images)
{
	struct spot *spots = calloc(images->count, sizeof(*spots));
	uint64_t random = images->seed;
	if (!spots)
		broken("no memory");
	for (unsigned i = 0; i < images->count; i++)
		spots[i] = (struct spot){choose_spot(images->log, images->begin, &random), i};
	qsort(spots, images->count, sizeof(*spots), compare_spots);
	return spots;
}

/* -- one image -- */

static uint64_t seed_of(const struct worker *w, unsigned number)
{
	uint64_t state = w->images->seed ^ (uint64_t)number << 32;
	return draw(&state);
}

static struct disk *record_recovery(struct worker *w, struct expected *e, uint64_t seed, struct verdict *v)
{
	struct objects before = {NULL};
	objects_copy(&before, &far.objects);
	log_clear(&w->log);
	far.nap_us = 500;
	record_start(&w->log, w->folder, seed, 0);
	bool good = check_recovered(w->folder, e, v);
	record_stop();
	far.nap_us = 0;
	struct disk *disk = good ? disk_new(&w->log, &before) : NULL;
	objects_clear(&before);
	return disk;
}

/* The image recovers, and is cut off while it does. What it then is must be what it was after the first cut, though the
 * transaction has another number by now. */
static bool check_twice(struct worker *w, struct expected *e, uint64_t seed, struct verdict *v)
{
	struct disk *disk = record_recovery(w, e, seed, v);
	const struct log *log = &w->log;
	struct expected second = *e;
	char again[200];
	size_t begin = 0;
	if (!disk)
		return false;
	while (begin < log->count && log->events[begin].kind != EVENT_SYNC)
		begin++;
	disk_advance(disk, begin + 1 + (size_t)(draw(&seed) % (log->count - begin)));
	snprintf(again, sizeof(again), "%s-again", w->folder);
	images_clear(again);
	disk_image(disk, CUT_POWER, draw(&seed), again, &far.objects);
	second.promised = disk_promised(disk);
	if (second.promised < e->txn)
		second.promised = e->txn;
	disk_free(&disk);
	seam_boot_id = "the boot after the second cut";
	e->changes = true;
	return check_txn(&second, again, v) && check_recovered(again, e, v);
}

static bool check_one(struct worker *w, struct disk *disk, const struct spot *spot, uint64_t *hash, struct verdict *v)
{
	uint64_t seed = seed_of(w, spot->number);
	struct expected e = {.stories = w->images->stories, .at = spot->at};
	disk_advance(disk, spot->at);
	images_clear(w->folder);
	e.killed = draw_below(&seed, KILLS) == 0;
	*hash = disk_image(disk, e.killed ? CUT_KILL : CUT_POWER, draw(&seed), w->folder, &far.objects);
	e.promised = disk_promised(disk);
	far.serial = spot->number << 8;
	seam_boot_id = e.killed ? SEAM_BOOT_RECORDED : "the boot after the cut";
	if (!check_txn(&e, w->folder, v))
		return false;
	e.changes = e.killed || draw_below(&seed, TWICE);
	if (e.changes)
		return check_recovered(w->folder, &e, v);
	atomic_fetch_add(&w->told->twice, 1);
	return check_twice(w, &e, seed, v);
}

static void tell_wrong(const struct worker *w, const struct spot *spot, const char *why)
{
	atomic_fetch_add(&w->told->wrong, 1);
	printf("crash: seed %llu image %u, cut before event %zu: %s\n", (unsigned long long)w->images->seed,
	       spot->number, spot->at, why);
	fflush(stdout);
}

static void work(struct worker *w)
{
	struct disk *disk = disk_new(w->images->log, NULL);
	log_init(&w->log);
	if (w->images->quiet) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		dup2(null, 2);
	}
	for (unsigned i = atomic_load(&w->told->next[w->number]); i < w->images->count; i += w->count) {
		struct verdict v = {""};
		const struct spot *spot = &w->spots[i];
		atomic_store(&w->told->next[w->number], i);
		if (atomic_load(&w->told->wrong) >= w->images->enough)
			break;
		if (w->images->only >= 0 && spot->number != (unsigned)w->images->only)
			continue;
		alarm(IMAGE_SECONDS);
		if (!check_one(w, disk, spot, &w->told->hashes[i], &v))
			tell_wrong(w, spot, v.why);
		atomic_fetch_add(&w->told->done, 1);
	}
	_exit(0);
}

/* -- workers -- */

static pid_t start(struct worker *w)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		broken("fork: %s", strerror(errno));
	if (pid == 0)
		work(w);
	return pid;
}

/* One that died leaves the rest to a new one. */
static bool ended(struct worker *w, int status)
{
	char why[100];
	unsigned at = atomic_load(&w->told->next[w->number]);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 3)
		exit(3); /* it has said why: the test is broken */
	snprintf(why, sizeof(why), "recovery %s (%d)",
		 WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "does not end" : "crashed",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	tell_wrong(w, &w->spots[at], why);
	atomic_fetch_add(&w->told->done, 1);
	atomic_store(&w->told->next[w->number], at + w->count);
	return at + w->count >= w->images->count;
}

static int compare_hashes(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static void sum_up(struct images *images, struct told *told)
{
	images->done = told->done;
	images->wrong = told->wrong;
	images->twice = told->twice;
	qsort(told->hashes, images->count, sizeof(told->hashes[0]), compare_hashes);
	for (unsigned i = 0; i < images->count; i++)
		images->distinct += told->hashes[i] && (i == 0 || told->hashes[i] != told->hashes[i - 1]);
}

void images_run(struct images *images)
{
	size_t bytes = sizeof(struct told) + images->count * sizeof(uint64_t);
	struct told *told = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct spot *spots = choose_spots(images);
	struct worker workers[WORKERS_MAX] = {{0}};
	pid_t pids[WORKERS_MAX];
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned count = cores < 1 ? 1 : (unsigned)cores * WORKERS_A_CORE, left;
	if (told == MAP_FAILED)
		broken("mmap: %s", strerror(errno));
	left = count = count > WORKERS_MAX ? WORKERS_MAX : count;
	for (unsigned i = 0; i < count; i++) {
		workers[i] = (struct worker){
			.images = images, .spots = spots, .told = told, .number = i, .count = count};
		snprintf(workers[i].folder, sizeof(workers[i].folder), "%s/image-%u", images->folder, i);
		told->next[i] = i;
		pids[i] = start(&workers[i]);
	}
	while (left) {
		int status;
		pid_t pid = wait(&status);
		for (unsigned i = 0; i < count; i++)
			if (pids[i] == pid && ended(&workers[i], status))
				left--;
			else if (pids[i] == pid)
				pids[i] = start(&workers[i]);
	}
	sum_up(images, told);
	free(spots);
	munmap(told, bytes);
}
