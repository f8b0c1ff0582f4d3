/* Power cuts. One run of a cache is recorded; then at many instants of the log the disk is made up as a power
 * cut may leave it, with the bucket as it was, and recovered by the real code after a pretended reboot.
 *
 *     crash [--seed N] [--images N] [--steps N] [--break HOW | --lie PLACE] [--keep FILE]
 *     crash --rescues N [--stride N] [--seed N] [--lie PLACE]
 *     crash --replay FILE [--image N]
 *
 * Images are made from a log, their number and the seed alone, so that one that fails can be made again from its
 * log (it is kept where something failed). The log itself depends on how the threads were scheduled.
 * Each image is checked in a process that may crash: a worker, which is replaced then. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "cache/base/log.h"
#include "check.h"
#include "disk.h"
#include "images.h"
#include "record.h"
#include "rescues.h"
#include "seams.h"
#include "work.h"

static struct options {
	uint64_t seed;
	unsigned images, steps, lies, rescues, stride;
	bool verbose;
	const char *keep, *replay;
	long image; /* of --replay; -1 = all */
} options = {.seed = 1, .images = 250, .steps = 300, .stride = 1, .image = -1};

static const struct {
	const char *name;
	enum breakage breakage;
} breakages[] = {
	{"no-pin", BREAK_NO_PIN}, {"late-blobs", BREAK_LATE_BLOBS}, {"eager-sender", BREAK_EAGER_SENDER}};

static const struct {
	const char *name;
	unsigned place;
} places[] = {
	{"folder", PLACE_FOLDER},
	{"index", PLACE_INDEX},
	{"steady", PLACE_STEADY},
	{"blobs", PLACE_BLOBS | PLACE_ALL},
	{"blob-folders", PLACE_BLOB_DIRS | PLACE_ALL},
	{"blob", PLACE_BLOB | PLACE_ALL},
	{"lists", PLACE_LIST},
	{"all", PLACE_ALL},
};

static void usage(void)
{
	fputs("usage: crash [--seed N] [--images N] [--steps N] [--break no-pin|late-blobs|eager-sender]\n"
	      "             [--lie folder|index|steady|blobs|blob-folders|blob] [--keep FILE]\n"
	      "       crash --rescues N [--stride N] [--seed N] [--lie all|folder|lists]\n"
	      "       crash --replay FILE [--image N] [--verbose]\n",
	      stderr);
	exit(2);
}

static void choose_breakage(const char *name)
{
	for (size_t i = 0; i < sizeof(breakages) / sizeof(breakages[0]); i++)
		if (!strcmp(breakages[i].name, name))
			seam_breakage = breakages[i].breakage;
	if (seam_breakage == BREAK_NOTHING)
		usage();
}

static void choose_lie(const char *name)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (!strcmp(places[i].name, name))
			options.lies = places[i].place;
	if (!options.lies)
		usage();
}

static void parse(int argc, char **argv)
{
	static const struct option names[] = {
		{"seed", 1, NULL, 's'},	 {"images", 1, NULL, 'i'}, {"steps", 1, NULL, 'n'}, {"break", 1, NULL, 'b'},
		{"lie", 1, NULL, 'l'},	 {"keep", 1, NULL, 'k'},   {"replay", 1, NULL, 'r'}, {"image", 1, NULL, 'o'},
		{"verbose", 0, NULL, 'v'},
		{"rescues", 1, NULL, 'R'}, {"stride", 1, NULL, 'S'},
		{NULL, 0, NULL, 0},
	};
	int option;
	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (option) {
		case 's': options.seed = strtoull(optarg, NULL, 0); break;
		case 'i': options.images = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'n': options.steps = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'b': choose_breakage(optarg); break;
		case 'l': choose_lie(optarg); break;
		case 'k': options.keep = optarg; break;
		case 'r': options.replay = optarg; break;
		case 'o': options.image = strtol(optarg, NULL, 0); break;
		case 'R': options.rescues = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'S': options.stride = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'v': options.verbose = true; break;
		default: usage();
		}
	}
	if (optind != argc || !options.images || !options.stride)
		usage();
}

/* -- the log of a run -- */

static void save(const struct work *work, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		broken("%s: %s", path, strerror(errno));
	write_fully(fd, &options.seed, sizeof(options.seed));
	write_fully(fd, &options.images, sizeof(options.images));
	write_fully(fd, &work->begin, sizeof(work->begin));
	for (int i = 0; i < ACTORS; i++)
		story_save(&work->stories[i], fd);
	log_save(&work->log, fd);
	close(fd);
}

static void load(struct work *work, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		broken("%s: %s", path, strerror(errno));
	memset(work, 0, sizeof(*work));
	log_init(&work->log);
	read_fully(fd, &options.seed, sizeof(options.seed));
	read_fully(fd, &options.images, sizeof(options.images));
	read_fully(fd, &work->begin, sizeof(work->begin));
	for (int i = 0; i < ACTORS; i++)
		story_load(&work->stories[i], fd);
	log_load(&work->log, fd);
	work_choose(options.seed);
	close(fd);
}

/* -- folders: in memory where there is room -- */

static char scratch[96];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void images_clear(const char *folder)
{
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (mkdir(folder, 0700))
		broken("%s: %s", folder, strerror(errno));
}

static void remove_scratch(void)
{
	nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_scratch(void)
{
	struct statvfs st;
	const char *base = getenv("TMPDIR");
	if (!statvfs("/dev/shm", &st) && (uint64_t)st.f_bavail * st.f_frsize > (512u << 20) && !access("/dev/shm", W_OK))
		base = "/dev/shm";
	snprintf(scratch, sizeof(scratch), "%.60s/tootfs-crash-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(scratch))
		broken("%s: %s", scratch, strerror(errno));
}

/* -- the verdict -- */

static int report(const struct images *images, const struct work *work, double seconds)
{
	bool bites = seam_breakage != BREAK_NOTHING || options.lies;
	char kept[128];
	printf("crash: seed %llu: %u images, %u distinct, %u cut again while recovering, %u wrong; %.1f s\n",
	       (unsigned long long)options.seed, images->done, images->distinct, images->twice, images->wrong, seconds);
	if (bites) {
		puts(images->wrong ? "crash: the damage was found" : "crash: the damage was NOT found");
		return images->wrong ? 0 : 1;
	}
	if (!images->wrong)
		return 0;
	snprintf(kept, sizeof(kept), "crash-%llu.log", (unsigned long long)options.seed);
	if (!options.replay && !options.keep) {
		save(work, kept);
		printf("crash: the log is kept: --replay %s --image N\n", kept);
	}
	return 1;
}

static void expect(bool seen, const char *what)
{
	if (!seen)
		broken("the workload had no %s: it proves too little", what);
}

static void record(struct work *work)
{
	char folder[128];
	snprintf(folder, sizeof(folder), "%s/recorded", scratch);
	images_clear(folder);
	work_run(work, folder, options.seed, options.steps, options.rescues ? 0 : options.lies);
	printf("crash: seed %llu: %zu + %zu steps, %zu events; %llu checkpoints, %llu puts, %llu uploads, %llu copies, "
	       "%llu removes, %llu reads, %llu evicted\n",
	       (unsigned long long)options.seed, work->stories[0].count, work->stories[1].count, work->log.count,
	       (unsigned long long)work->covered, (unsigned long long)work->puts, (unsigned long long)work->uploads,
	       (unsigned long long)work->copies, (unsigned long long)work->removes, (unsigned long long)work->fills,
	       (unsigned long long)work->evicted);
	fflush(stdout);
	if (options.steps < 200)
		return;
	expect(work->covered > 10, "checkpoints");
	expect(work->puts > 20, "puts");
	expect(work->uploads, "uploads");
	expect(work->copies, "copies");
	expect(work->removes, "removes");
	expect(work->fills > 1, "reads from the bucket");
	expect(work->evicted || work_chosen() == WORK_LARGE, "evictions");
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int rescue(const struct work *work, double start)
{
	struct rescues r = {.log = &work->log, .begin = work->begin, .stories = work->stories, .seed = options.seed,
			    .folder = scratch, .count = options.rescues, .stride = options.stride,
			    .lies = options.lies, .enough = options.lies ? 1 : 10};
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (!options.verbose)
		dup2(null, 2); /* each rescue says at length what it has kept */
	rescues_run(&r);
	printf("crash: seed %llu: %u rescues, cut %u times, %u with something to keep, %u wrong; %.1f s\n",
	       (unsigned long long)options.seed, options.rescues, r.done, r.rescued, r.wrong, now() - start);
	if (options.lies)
		puts(r.wrong ? "crash: the damage was found" : "crash: the damage was NOT found");
	return !r.wrong == !options.lies ? 0 : 1;
}

int main(int argc, char **argv)
{
	static struct work work;
	struct images images = {0};
	double start = now();
	parse(argc, argv);
	const struct log_config log = {.level = options.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR};
	log_setup(&log);
	make_scratch();
	atexit(remove_scratch);
	if (options.replay)
		load(&work, options.replay);
	else
		record(&work);
	if (options.keep)
		save(&work, options.keep);
	if (options.rescues)
		return rescue(&work, start);
	images.log = &work.log;
	images.begin = work.begin;
	images.stories = work.stories;
	images.seed = options.seed;
	images.count = options.images;
	images.only = options.image;
	images.folder = scratch;
	images.enough = seam_breakage != BREAK_NOTHING || options.lies ? 3 : 10;
	images.quiet = seam_breakage != BREAK_NOTHING || options.lies;
	images_run(&images);
	int status = report(&images, &work, now() - start);
	for (int i = 0; i < ACTORS; i++)
		story_destroy(&work.stories[i]);
	return status;
}
