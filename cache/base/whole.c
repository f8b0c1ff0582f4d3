#include "whole.h"

#include <errno.h>
#include <unistd.h>

ssize_t whole_read(int fd, void *out, size_t length, uint64_t at)
{
	size_t done = 0;
	while (done < length) {
		ssize_t n = pread(fd, (char *)out + done, length - done, (off_t)(at + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int whole_write(int fd, const void *bytes, size_t length, uint64_t at)
{
	size_t done = 0;
	while (done < length) {
		ssize_t n = pwrite(fd, (const char *)bytes + done, length - done, (off_t)(at + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}
