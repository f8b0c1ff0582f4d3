/* The protocol is a datagram of lines to the socket in NOTIFY_SOCKET: a path, or "@name" without a file. It is sent from an
 * unconnected socket, so that a manager that was started anew is reached too.
 *
 *     READY=1, RELOADING=1 and MONOTONIC_USEC=…, STOPPING=1     what we are at
 *     STATUS=…                    words
 *     EXTEND_TIMEOUT_USEC=…       so much longer, from now
 *     WATCHDOG=1                  a sign of life, three times in WATCHDOG_USEC
 *
 * The sign of life is no timer's: before each, alive() goes the way of a request. While that hangs there is none, and
 * the manager ends us. */
#include "service.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"

enum { TELL_MS = 5000, MESSAGE_BYTES_MAX = 2048 };

static struct sockaddr_un manager; /* fixed by service_open; there is one a process */
static socklen_t manager_bytes;

/* -1: that is no address. */
static int take_address(const char *text)
{
	size_t length = strlen(text);

	if (length < 2 || length >= sizeof(manager.sun_path) || (*text != '/' && *text != '@'))
		return -1;
	manager = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(manager.sun_path, text, length);
	if (*text == '@')
		manager.sun_path[0] = '\0';
	manager_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (*text == '/'));
	return 0;
}

static int64_t take_watchdog(void)
{
	const char *interval = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	char *end;

	if (!interval || (pid && strtol(pid, NULL, 10) != (long)getpid()))
		return 0;
	long long us = strtoll(interval, &end, 10);
	return *end || us < 1000 || us > INT64_MAX / 2 ? 0 : us / 1000;
}

void service_open(struct service *s)
{
	const char *address = getenv("NOTIFY_SOCKET");

	*s = (struct service){.fd = -1};
	lock_init(&s->lock);
	wakeup_init(&s->wake);
	if (address && *address) {
		if (take_address(address))
			log_warn("service: NOTIFY_SOCKET is no address of a socket value=%s", address);
		else
			s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		s->watchdog_ms = s->fd >= 0 ? take_watchdog() : 0;
	}
	unsetenv("NOTIFY_SOCKET"); /* programs that we start are not us */
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void service_close(struct service *s)
{
	service_unwatch(s);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	wakeup_destroy(&s->wake);
	lock_destroy(&s->lock);
}

void service_tell(struct service *s, const char *fmt, ...)
{
	char text[MESSAGE_BYTES_MAX];
	va_list args;

	if (s->fd < 0)
		return;
	va_start(args, fmt);
	int length = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (length <= 0)
		return;
	if ((size_t)length >= sizeof(text))
		length = sizeof(text) - 1;
	if (sendto(s->fd, text, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&manager,
		   manager_bytes) < 0)
		log_debug("service: the service manager cannot be told error=%s", strerror(errno));
}

void service_status(struct service *s, const char *text)
{
	char line[512];
	size_t n = 0;

	for (; text[n] && n < sizeof(line) - 1; n++)
		line[n] = (unsigned char)text[n] < ' ' ? '?' : text[n]; /* a line more would be an order more */
	line[n] = '\0';
	service_tell(s, "STATUS=%s", line);
}

/* -- signs of life -- */

static bool rest(struct service *s, int64_t until_ms)
{
	lock_take(&s->lock);
	while (!s->locked.stopping && wakeup_wait_until(&s->wake, &s->lock, until_ms))
		;
	bool stopping = s->locked.stopping;
	lock_drop(&s->lock);
	return stopping;
}

static void *watch_run(void *arg)
{
	struct service *s = arg;
	int64_t tick_ms = s->watchdog_ms && s->watchdog_ms / 3 < TELL_MS ? s->watchdog_ms / 3 : TELL_MS;
	bool well = true;

	do {
		AUTO_BUF struct buf text = BUF_EMPTY;
		bool alive = s->watch->alive(s->watch->arg);

		if (alive && s->watchdog_ms)
			service_tell(s, "WATCHDOG=1");
		if (alive != well)
			log_write(alive ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "service: %s",
				  alive ? "all moves again" : "something does not move any more: no sign of life is given");
		well = alive;
		s->watch->status(s->watch->arg, &text);
		if (text.length && !text.failed)
			service_status(s, buf_string(&text));
	} while (!rest(s, clock_ms() + tick_ms));
	return NULL;
}

int service_watch(struct service *s, const struct service_watch *watch)
{
	if (s->fd < 0)
		return 0;
	s->watch = watch;
	int error = thread_start(&s->thread, "service", watch_run, s);
	s->watching = !error;
	return error;
}

void service_unwatch(struct service *s)
{
	if (!s->watching)
		return;
	lock_take(&s->lock);
	s->locked.stopping = true;
	wakeup_all(&s->wake);
	lock_drop(&s->lock);
	pthread_join(s->thread, NULL);
	s->watching = false;
}
