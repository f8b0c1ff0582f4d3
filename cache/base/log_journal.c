/* Two ways into the journal (systemd.exec(5), "Native Journal Protocol"):
 *
 *     stderr is its stream    "<N>text\n", N a priority of syslog(3)
 *     its socket              a datagram of lines NAME=value; our texts have no newline, so that none needs a length
 *
 * The socket is for a daemon, whose stderr is gone. It is connected once: a journal that is started anew takes the
 * same name, and a send that fails connects again. */
#include "log_journal.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int journal_fd = -1;			      /* guarded by lock */
static struct sockaddr_un journal = {.sun_family = AF_UNIX}; /* guarded by lock */

bool log_journal_is_stderr(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;
	int end = 0;

	return text && sscanf(text, "%llu:%llu%n", &device, &inode, &end) == 2 && !text[end] &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

/* With lock held. */
static bool reach(void)
{
	if (journal_fd >= 0)
		close(journal_fd);
	journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return journal_fd >= 0 && connect(journal_fd, (const struct sockaddr *)&journal, sizeof(journal)) == 0;
}

bool log_journal_open(const char *path)
{
	bool open = false;

	pthread_mutex_lock(&lock);
	if (strlen(path) < sizeof(journal.sun_path)) {
		strcpy(journal.sun_path, path);
		open = reach();
	}
	pthread_mutex_unlock(&lock);
	return open;
}

bool log_journal_send(int priority, const char *text, size_t length)
{
	char head[96];
	int head_bytes = snprintf(head, sizeof(head), "PRIORITY=%d\nSYSLOG_IDENTIFIER=tootfs\nSYSLOG_PID=%ld\nMESSAGE=",
				  priority, (long)getpid());
	char end[] = "\n";
	struct iovec parts[] = {{head, (size_t)head_bytes}, {(void *)(uintptr_t)text, length}, {end, 1}};
	const struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
	bool sent = false;

	pthread_mutex_lock(&lock);
	for (int tries = 0; tries < 2 && !sent; tries++) {
		sent = journal_fd >= 0 && sendmsg(journal_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
		if (!sent && (errno == EAGAIN || !reach()))
			break;
	}
	pthread_mutex_unlock(&lock);
	return sent;
}
