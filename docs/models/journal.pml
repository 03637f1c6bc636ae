/* The replay journal under crashes (docs/SPEC.md: Opening 13 to 18, Acknowledgement, Work, Replay, One life of one journal).
 *
 * One message is followed, from one sender to one reader. The network keeps every envelope for ever and delivers each any number of times, in any
 * order or never. The reader has a home and two threads that open at once. README.md says what is left out.
 *
 * A run is chosen by macros: RESTORE (of a backup), CLOCK (behind after a restart), SET_BACK (while the process runs) and LIVE say what may
 * happen; the others break one rule each. */

#define ISSUED    3             /* of the message, by its author's clock */
#define EXPIRES   4
#define TOLERANCE 1
#define FIRST     1             /* the reader's clock is between these; 0 is no time */
#define LAST      5
#define LIVES     6             /* lives of the journal in one run */

#ifndef THREADS
#define THREADS   1             /* envelopes that are opened at the same time, at most 2 */
#endif
#ifndef OLDEST_BACKUP
#define OLDEST_BACKUP 1         /* not before the home was first used */
#endif
#ifndef FAULTS
#define FAULTS    2             /* crashes, restarts of the machine, restored backups, lost markers, clocks that are behind */
#endif
#ifndef OTHERS
#define OTHERS    1             /* messages beside the one that is followed */
#endif

#define NONE      0             /* what is kept of the message: nothing, */
#define PENDING   1             /* the message itself, */
#define DONE      2             /* the reply it earned */

#define MAX(a, b) ((a) > (b) -> (a) : (b))

/* On disk. */
typedef Journal {
  byte life;
  byte sequence;
  byte horizon;
  bool row;                     /* the message is in the journal */
  byte work;
  bool unused;                  /* `began` is negative: no message in this life yet */
  byte began;                   /* 0 in the first life; while unused, the floor: the latest time an earlier life knew */
  byte purged                   /* the clock when a message was taken last */
}
Journal journal, backup;
bool has_backup;

/* In storage that a restart of the machine empties. */
bool marked;
byte marker_life, marker_sequence;

/* In the memory of the reader's process. */
bool running;
byte life;                      /* whose receive keys it holds */
byte working;                   /* the message is with the handler */
bool finished;                  /* the handler is done, nothing is written yet */
bool confirming;                /* to be acknowledged */
bool left;                      /* found pending at the start */
byte stage[2];            /* step of Opening that comes next: 0 none, 13, 16, 17 commits, 18 releases */
byte key_of[2];           /* life of the receive key that opened it */
bool again[2];            /* to be marked as redelivered */
#define CLEAR_MEMORY running = false; working = 0; finished = false; confirming = false; left = false; \
                     stage[0] = 0; stage[1] = 0; key_of[0] = 0; key_of[1] = 0; again[0] = false; again[1] = false
#define COMMITTING (stage[0] == 17 || stage[1] == 17)

byte now = ISSUED - TOLERANCE;                   /* the reader's clock */
byte lives = 0;
byte faults = 0;
byte others = 0;
bool behind;                    /* the clock was set back by a restart */

/* The network and the sender. */
bool envelope[LIVES + 1];       /* one sealed for the receive key of that life is about */
bool acknowledgement;
bool acknowledged;

/* What the properties speak of; no step looks at these. */
bool unmarked;                  /* released without the mark */
bool accepted;                  /* entered a journal */
bool written;                   /* processed, and written down so */
bool taken[LIVES + 1];          /* the envelope for that life's key was accepted as new */

#define CONTINUES (marked && marker_life == journal.life && journal.sequence >= marker_sequence)
#define IN_TIME   (ISSUED <= now + TOLERANCE && now < EXPIRES + TOLERANCE)
#define CAN_BEGIN (lives < LIVES)

inline mark(number) { marked = true; marker_life = journal.life; marker_sequence = number }

/* All receive keys, all rows and all work are erased. */
inline begin_life() {
  lives++;
  journal.life = lives;
  journal.row = false;
  journal.work = NONE;
  journal.horizon = 0;
  if
  :: journal.sequence == 0 -> journal.began = 0
  :: else ->
#ifdef NO_FLOOR
     journal.began = 0;
#else
     journal.began = MAX(journal.began, journal.purged);
#endif
     journal.unused = true
  fi;
  journal.purged = 0;
  journal.sequence++;
  mark(journal.sequence)
}

/* Joins the present life, or begins one. */
inline settle() {
  if
  :: CONTINUES -> skip
#ifdef KEEP_KEYS
  :: !CONTINUES && marked -> mark(journal.sequence)
  :: !CONTINUES && !marked -> begin_life()
#else
  :: !CONTINUES -> begin_life()
#endif
  fi;
  life = journal.life
}

/* What a transaction that takes a message does first, if it is due; it may be at any time. */
inline purge() {
  if
  :: journal.row && EXPIRES + TOLERANCE <= now ->
     journal.row = false;
     journal.work = NONE;
#ifndef NO_HORIZON
     journal.horizon = MAX(journal.horizon, EXPIRES)
#endif
  :: skip
  fi
}

inline note_time() {
  if
  :: journal.unused -> journal.unused = false; journal.began = MAX(journal.began, now)
  :: else -> skip
  fi;
  journal.purged = now
}

inline hand_over(redelivered) {
#if !defined(SET_BACK) || defined(MARKS)
  assert(redelivered || !unmarked);             /* unmarked at most once */
#endif
  unmarked = unmarked || !(redelivered);
  working = 1
#ifdef ACK_EARLY
  ; confirming = true
#endif
}

/* It came again: its reply is sent again, or it is acknowledged again, or it is passed over while it is worked on. */
inline came_again() {
  if
  :: journal.work == PENDING -> skip
  :: else -> confirming = true
  fi
}

inline out_of_memory(thread) { stage[thread] = 0; key_of[thread] = 0; again[thread] = false }

/* Steps 1 to 18 of Opening. A thread is stopped by a crash between any two of its steps. */
proctype Thread(byte t) {
  do
  :: atomic { running && stage[t] == 0 && envelope[life] && IN_TIME -> key_of[t] = life; stage[t] = 13 }

  :: atomic { running && stage[t] == 13 && !COMMITTING && CAN_BEGIN ->
       if
       :: key_of[t] != life -> out_of_memory(t)
       :: else ->
          if
          :: journal.row -> came_again(); out_of_memory(t)
          :: !journal.row && EXPIRES <= journal.horizon ->
             if
             :: EXPIRES <= now -> skip
             :: else -> begin_life(); life = journal.life
             fi;
             out_of_memory(t)
          :: else -> stage[t] = 16
#ifdef RELEASE_FIRST
             ; hand_over(false)
#endif
          fi
       fi }

  /* Policy and audit take their time. The transaction of step 16 begins, and writes the marker. */
  :: atomic { running && stage[t] == 16 && !COMMITTING && CAN_BEGIN ->
       if
#ifndef LIFE_UNCHECKED
       :: key_of[t] != life -> out_of_memory(t)
       :: key_of[t] == life && (journal.life != life || !CONTINUES) -> settle(); out_of_memory(t)
       :: key_of[t] == life && journal.life == life && CONTINUES ->
#else
       :: true ->
#endif
          purge();
          if
#ifndef NO_UNIQUE_KEY
          :: journal.row -> note_time(); came_again(); out_of_memory(t)
#endif
          :: !journal.row && EXPIRES <= journal.horizon ->
             if
             :: EXPIRES <= now -> skip
             :: else -> begin_life(); life = journal.life
             fi;
             out_of_memory(t)
          :: else ->
#ifndef MARKER_LAST
             mark(journal.sequence + 1);
#endif
             stage[t] = 17
          fi
       fi }

  /* It commits: pending, in the same transaction. */
  :: atomic { running && stage[t] == 17 ->
       note_time();
       journal.row = true;
       journal.work = PENDING;
       journal.sequence++;
       assert(!taken[key_of[t]]);               /* an envelope is accepted once */
       taken[key_of[t]] = true;
#ifdef STRICTLY_BEFORE
       again[t] = journal.began > 0 && ISSUED < journal.began + TOLERANCE;
#else
       again[t] = journal.began > 0 && ISSUED <= journal.began + TOLERANCE;
#endif
#if !defined(SET_BACK) || defined(MARKS)
       assert(again[t] || !accepted);           /* a redelivery is marked */
#endif
       accepted = true;
       stage[t] = 18 }

  :: atomic { running && stage[t] == 18 ->
#ifdef MARKER_LAST
       mark(journal.sequence);
#endif
#ifndef RELEASE_FIRST
       hand_over(again[t]);
#endif
       out_of_memory(t) }
  od
}

/* What the agent does with it. */
proctype Handler() {
  do
  :: atomic { running && left ->
       left = false;
#ifdef UNMARKED
       hand_over(false)
#else
       hand_over(true)
#endif
     }
  :: atomic { running && working -> working = 0; finished = true }
  /* One transaction. The work of a life that has ended meanwhile is gone; what was done is done. */
  :: atomic { running && finished && !COMMITTING ->
       finished = false;
       if
       :: journal.work == PENDING -> journal.work = DONE
       :: else -> skip
       fi;
       written = true;
       confirming = true }
  :: atomic { running && confirming ->
       assert(written);                         /* nothing is acknowledged before it is written down */
       confirming = false;
       acknowledgement = true }
  /* The author confirms the reply, which need not be kept then. */
  :: atomic { running && acknowledged && journal.work == DONE && !COMMITTING -> journal.work = NONE }
  od
}

/* Seals anew for the receive key it knows by now, until it is acknowledged. */
proctype Sender() {
  do
#ifdef SEALED_ONCE
  :: atomic { !acknowledged && running && !envelope[1] && !envelope[2] && !envelope[3] -> envelope[life] = true }
#else
  :: atomic { !acknowledged && running && !envelope[life] -> envelope[life] = true }
#endif
  :: atomic { acknowledgement && !acknowledged -> acknowledged = true }
  od
}

/* The reader's process starts, and finds what an earlier one has left. */
proctype Start() {
  do
  :: atomic { !running && CAN_BEGIN ->
       settle();
       if
       :: journal.horizon > now && CAN_BEGIN -> begin_life(); life = journal.life
       :: else -> skip
       fi;
#ifndef FORGOTTEN
       left = journal.work == PENDING;
#endif
       running = true }
  od
}

/* Other messages, and the clock. */
proctype World() {
  do
  :: atomic { running && !COMMITTING && others < OTHERS && journal.life == life && CONTINUES ->
       others++; purge(); note_time(); journal.sequence++; mark(journal.sequence) }
#ifndef LIVE
  :: atomic { now < LAST -> now++ }
#endif
  od
}

proctype Fault() {
  do
  /* The process is killed: at once, or between marker and commit. */
  :: atomic { faults < FAULTS && running -> faults++; CLEAR_MEMORY }
  /* The machine restarts. */
  :: atomic { faults < FAULTS ->
       faults++; CLEAR_MEMORY; marked = false; marker_life = 0; marker_sequence = 0;
#ifdef CLOCK
       /* Its clock may be behind by anything, once. */
       if
       :: behind -> skip
       :: !behind -> behind = true; do :: now > FIRST -> now-- :: break od
       fi
#else
       skip
#endif
     }
  /* Somebody empties the volatile storage. */
  :: atomic { faults < FAULTS && marked && !COMMITTING -> faults++; marked = false; marker_life = 0; marker_sequence = 0 }
  /* Another process of this home starts, and begins a life if it must. */
  :: atomic { faults < FAULTS && running && !COMMITTING && CAN_BEGIN && (!CONTINUES || journal.horizon > now) -> faults++; begin_life() }
#ifdef RESTORE
  :: atomic { !has_backup && !COMMITTING && journal.sequence >= OLDEST_BACKUP ->
       has_backup = true;
       backup.life = journal.life; backup.sequence = journal.sequence; backup.horizon = journal.horizon; backup.row = journal.row;
       backup.work = journal.work; backup.unused = journal.unused; backup.began = journal.began; backup.purged = journal.purged }
  /* Into the same file, as `cp` does; another file has no marker, which is the fault above. */
  :: atomic { faults < FAULTS && !running && has_backup ->
       faults++;
       journal.life = backup.life; journal.sequence = backup.sequence; journal.horizon = backup.horizon; journal.row = backup.row;
       journal.work = backup.work; journal.unused = backup.unused; journal.began = backup.began; journal.purged = backup.purged }
#endif
#ifdef SET_BACK
  /* Somebody sets the clock back while the process runs. */
  :: atomic { faults < FAULTS && now > FIRST -> faults++; do :: now > FIRST -> now-- :: break od }
#endif
  od
}

init {
  atomic {
    journal.life = 0;           /* a new home: the first start begins the first life */
    run Thread(0);
#if THREADS == 2
    run Thread(1);
#endif
    run Handler(); run Sender(); run Start(); run World(); run Fault()
  }
}

#ifdef LIVE
ltl answered { <> acknowledged }
#endif
