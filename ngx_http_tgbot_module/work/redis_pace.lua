#!lua
-- Asks whether a call to the Bot API may go, of all machines.  A call of bulk
-- takes a place in its buckets: first in those of its chat, and when it may go
-- there, in the one of the bot, so that a chat that has to wait holds no place
-- of another one.  A call without buckets is the first one after a pause.
--
-- KEYS  1 meta
--       2 stop:<chat> or stop:<method>   3 stop
--       4 ... of bulk: pace:<chat>, for a group group:<chat>, and last
--         pace:all or pace:paid
-- ARGV  1 ms that the caller waits at most
--       2 lease of a probe, ms
--       3 the time of its place in the buckets of its chat, us; 0: it has none
--       4 ... for each bucket: microseconds of a token, burst
--
-- Replies
--   {0, ms, probe}  the call has its places, and goes in so many ms; probe, 1:
--                   it is the probe of a pause, whose end pace_stop is told
--   {1, ms, time}   it has a place in the buckets of its chat, for this time,
--                   and asks for the other one in so many ms, else it is lost
--   {2, ms, what}   stopped by a 429 for so long: 1 its chat or method, 2 the
--                   bot
--   {3, ms, what}   another call is the probe of the pause of "what", as above:
--                   ask again in so many ms
--   {4, ms}         it would wait for longer than it can: it has no place more
--                   than before
--
-- Twice: it has two places, one of which is lost.

--include redis_part_meta.lua
--include redis_part_pace.lua
--include redis_part_stop.lua

-- ms after which a call asks again whether there is still another probe

local AGAIN = 200

-- microseconds by which a call may be late for its place

local LATE = 250000

local err = meta_read()
if err then
  return err
end

local limit, lease = ARGV[1] * 1000, ARGV[2] * 1000
local due = tonumber(ARGV[3])

-- A place that was not taken in time is lost: others go on as if it had been.
-- So is one that is further away than the caller waits, as the clock was set
-- back.

if us > due + LATE or due > us + limit + LATE then
  due = 0
end

local stops = {}

for i = 2, 3 do
  local ends, probe = stop_get(KEYS[i])

  if ends then
    if ends > us then
      return {2, math.ceil((ends - us) / 1000), i - 1}
    end

    if probe > us then
      return {3, math.min(math.ceil((probe - us) / 1000), AGAIN), i - 1}
    end

    stops[KEYS[i]] = ends
  end
end

local buckets = pace_buckets(4, 4)
local bot = table.remove(buckets)
local chat, all = 0, 0

if bot then
  all = math.max(bot.wait, 0)
end

if due == 0 then
  for _, b in ipairs(buckets) do
    chat = math.max(chat, b.wait)
  end

elseif due > us + PACE_CLOCK then
  chat = due - us
end

local wait = math.max(chat, all)

if wait > limit then
  return {4, math.ceil(wait / 1000)}
end

if chat > 0 then
  if due == 0 then
    for _, b in ipairs(buckets) do
      pace_take(b, us + chat, 0)
    end
  end

  return {1, math.ceil(chat / 1000), us + chat}
end

for _, b in ipairs(buckets) do
  pace_take(b, us + all, due)
end

if bot then
  pace_take(bot, us + all, 0)
end

local probe = 0

for key, ends in pairs(stops) do
  stop_set(key, ends, us + all + lease)
  probe = 1
end

return {0, math.ceil(all / 1000), probe}
