/* What the last attempt of a thread ran into.
 *
 * A result is one number; the words that go with it would need an out-argument in every function
 * from curl's callback up to the door. They are the calling thread's instead, as errno is: an
 * implementation fills them on the thread that called the door, and bucket_why() reads them there.
 *
 * fault_set() sets the words and `again` and leaves status, code and Retry-After alone, so that
 * these may be noted before or after it. */
#include "ops.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local struct fault fault;

struct fault *fault_of_thread(void)
{
	return &fault;
}

void fault_clear(void)
{
	memset(&fault, 0, sizeof(fault));
}

int fault_set(int error, bool again, const char *fmt, ...)
{
	/* The words of the fault before may be an argument, as in "again: %s". */
	char why[sizeof(fault.why)];
	va_list args;

	va_start(args, fmt);
	if (vsnprintf(why, sizeof(why), fmt, args) < 0)
		why[0] = '\0';
	va_end(args);
	memcpy(fault.why, why, sizeof(why));
	fault.again = again;
	return error;
}

const char *bucket_why(void)
{
	return fault.why[0] ? fault.why : "no further details";
}
