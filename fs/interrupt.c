/* The kernel tells of any signal, also of one that the caller only handles or ignores for now, and
 * it does not tell whether the page is wanted by read(2) or by mapped memory. A read(2) that ends
 * with EINTR is what signals are for; a page of mapped memory that does not come is SIGBUS, or
 * EFAULT of a write(2) that is given it, for a program that did nothing but set a timer. So:
 *
 *     SIGKILL is pending (any deadly signal becomes one)   yes: the caller ends anyway
 *     the caller is inside read(2) or one of its kind      yes
 *     else, or where /proc does not tell                   no: it gets its page, or EIO in time
 *
 * The kernel itself waits for pages that it reads ahead, which is most of what is read; it lets go
 * of those who are being killed without asking anybody. What comes here are pages read singly and
 * O_DIRECT. */
#include "interrupt.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The beginning of a file of /proc; "" where it cannot be read. */
static void read_text(pid_t caller, const char *name, char *out, size_t size)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)caller, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, out, size - 1);
		close(fd);
	}
	out[n > 0 ? n : 0] = '\0';
}

static bool has_kill(const char *status, const char *field)
{
	const char *p = strstr(status, field);

	return p && strtoull(p + strlen(field), NULL, 16) >> (SIGKILL - 1) & 1;
}

static bool is_reading(const char *call)
{
	static const long calls[] = {SYS_read,	  SYS_pread64,	SYS_readv,  SYS_preadv,
				     SYS_preadv2, SYS_sendfile, SYS_splice, SYS_copy_file_range};
	char *end;
	long number = strtol(call, &end, 10);

	/* "running", or "-1 …" of one that is not inside a system call */
	if (end == call)
		return false;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (number == calls[i])
			return true;
	return false;
}

bool interrupt_is_due(pid_t caller)
{
	char text[4096];

	if (caller <= 0) /* of another pid namespace */
		return false;
	read_text(caller, "status", text, sizeof(text));
	if (has_kill(text, "\nSigPnd:\t") || has_kill(text, "\nShdPnd:\t"))
		return true;
	read_text(caller, "syscall", text, sizeof(text));
	return is_reading(text);
}
