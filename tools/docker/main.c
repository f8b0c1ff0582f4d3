/* docker-volume-tootfs: a volume plugin for Docker and podman.
 *
 * Started by systemd with the socket (docker-volume-tootfs.socket), or by hand, when it makes the socket itself. SIGTERM ends
 * it after the calls under way have been answered; what is mounted stays mounted, and the next one finds it. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cache/base/log.h"
#include "cache/base/log_journal.h"
#include "server.h"
#include "volumes.h"

enum { EXIT_USAGE = 1, EXIT_SYSTEM = 2 };

#define SOCKET "/run/docker/plugins/tootfs.sock"
#define STATE  "/var/lib/docker-volume-tootfs"
#define RUN    "/run/docker-volume-tootfs"

struct settings {
	struct volumes_config volumes;
	const char *socket;
	bool debug;
};

static const char help[] =
    "docker-volume-tootfs: S3 buckets as Docker volumes, through tootfs\n"
    "\n"
    "    docker-volume-tootfs [OPTION...]\n"
    "    docker volume create -d tootfs -o bucket=s3://NAME -o env_file=FILE media\n"
    "\n"
    "  --socket PATH     where Docker finds it (" SOCKET "),\n"
    "                    unless systemd hands one over\n"
    "  --state FOLDER    definitions and mount points (" STATE ")\n"
    "  --run FOLDER      who uses what (" RUN ")\n"
    "  --cache FOLDER    where volumes without the option cache have theirs, each below its name;\n"
    "                    by default where tootfs has it\n"
    "  --tootfs PROGRAM  the filesystem (tootfs)\n"
    "  --mount SECONDS   how long a filesystem may take to be ready (100)\n"
    "  --wait SECONDS    how long the last unmount waits for uploads (45; Docker waits for 60)\n"
    "  --warm SECONDS    how long a filesystem that no container uses stays mounted (10)\n"
    "  --debug           log each call\n"
    "  --help, --version\n";

static bool read_seconds(const char *text, unsigned *out)
{
	char *rest;
	long n = strtol(text, &rest, 10);

	if (rest == text || *rest || n < 0 || n > 3600)
		return false;
	*out = (unsigned)n;
	return true;
}

/* 0, or the status to end with plus 1. */
static int read_options(struct settings *s, int argc, char **argv)
{
	static const struct option longs[] = {
	    {"socket", required_argument, NULL, 's'}, {"state", required_argument, NULL, 'd'},
	    {"run", required_argument, NULL, 'r'},    {"cache", required_argument, NULL, 'c'},
	    {"tootfs", required_argument, NULL, 't'}, {"mount", required_argument, NULL, 'm'},
	    {"wait", required_argument, NULL, 'w'},   {"warm", required_argument, NULL, 'k'},
	    {"debug", no_argument, NULL, 'D'},	      {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},      {NULL, 0, NULL, 0}};
	const char **const folders[] = {&s->socket, &s->volumes.state_folder, &s->volumes.run_folder, &s->volumes.cache_folder};
	unsigned *const seconds[] = {&s->volumes.mount_s, &s->volumes.wait_s, &s->volumes.warm_s};
	int letter;

	while ((letter = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		const char *folder = strchr("sdrc", letter), *time = strchr("mwk", letter);

		if (letter == 'h')
			return fputs(help, stdout) < 0 ? EXIT_SYSTEM + 1 : 1;
		if (letter == 'V')
			return puts("docker-volume-tootfs " TOOTFS_VERSION) < 0 ? EXIT_SYSTEM + 1 : 1;
		if (letter == '?')
			return EXIT_USAGE + 1;
		if ((folder && optarg[0] != '/') || (time && !read_seconds(optarg, seconds[time - "mwk"]))) {
			fprintf(stderr, "docker-volume-tootfs: %s: %s\n", optarg,
				folder ? "an absolute path is needed" : "a number of seconds up to 3600 is needed");
			return EXIT_USAGE + 1;
		}
		if (folder)
			*folders[folder - "sdrc"] = optarg;
		else if (letter == 't')
			s->volumes.program = optarg;
		else if (letter == 'D')
			s->debug = true;
	}
	if (optind == argc)
		return 0;
	fprintf(stderr, "docker-volume-tootfs: %s: only options are expected; see --help\n", argv[optind]);
	return EXIT_USAGE + 1;
}

/* systemd's: descriptor 3, when LISTEN_PID is us. */
static int get_socket(const struct settings *s, int *fd)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");

	if (!pid || !count || strtol(pid, NULL, 10) != getpid() || strtol(count, NULL, 10) < 1)
		return server_listen(s->socket, fd);
	*fd = 3;
	return fcntl(*fd, F_SETFD, FD_CLOEXEC) ? -errno : 0;
}

static int serve(const struct settings *s, struct volumes *v)
{
	struct server *server;
	sigset_t ends;
	int fd, signal_number, error;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	error = volumes_start(v);
	if (!error)
		error = get_socket(s, &fd);
	if (!error)
		error = server_start(v, fd, &server);
	if (error) {
		fprintf(stderr, "docker-volume-tootfs: %s: cannot be listened on: %s\n", s->socket, strerror(-error));
		return EXIT_SYSTEM;
	}
	log_info("ready socket=%s state=%s version=%s", s->socket, s->volumes.state_folder, TOOTFS_VERSION);
	while (sigwait(&ends, &signal_number))
		;
	log_info("ending: calls under way are answered first; what is mounted stays");
	server_stop(&server);
	return 0;
}

int main(int argc, char **argv)
{
	struct settings s = {.volumes = {.program = "tootfs",
					 .state_folder = STATE,
					 .run_folder = RUN,
					 .mount_s = 100,
					 .wait_s = 45,
					 .warm_s = 10},
			     .socket = SOCKET};
	AUTO_BUF struct buf why = BUF_EMPTY;
	struct volumes *v;
	int status = read_options(&s, argc, argv);

	if (status)
		return status - 1;
	log_setup(&(struct log_config){.level = s.debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
				       .sink = log_journal_is_stderr() ? LOG_SINK_JOURNAL_STREAM : LOG_SINK_STDERR});
	signal(SIGPIPE, SIG_IGN);
	umask(022);
	if (volumes_open(&s.volumes, &v, &why)) {
		fprintf(stderr, "docker-volume-tootfs: %s\n", buf_string(&why));
		return EXIT_SYSTEM;
	}
	status = serve(&s, v);
	volumes_stop(v);
	volumes_close(&v);
	return status;
}
