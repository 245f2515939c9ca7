#!lua
-- Tells the answer to a call: a 429, or that to a probe.
--
-- KEYS  1 meta   2 stop:<chat> or stop:<method>, or stop   3 stop
-- ARGV  1 ms of a pause; 0: the Bot API has answered, which ends the pause;
--         -1: it has not, and another call is the probe
--       2 the chat, or "/" and the method; "": the bot
--       3 "1": the call was a probe, and a pause of the bot goes on, too
--
-- Reply: 1
--
-- A pause is published on the channel "stop", "ms chat", for the zones of all
-- machines.
--
-- Twice: a pause ends later.

--include redis_part_meta.lua
--include redis_part_stop.lua

local err = meta_read()
if err then
  return err
end

local pause = ARGV[1] * 1000

for i = 2, 3 do
  local ends, probe = stop_get(KEYS[i])

  if pause > 0 then
    if i == 2 or (ARGV[3] == '1' and ends and KEYS[2] ~= KEYS[3]) then
      local lease = ARGV[3] == '1' and 0 or probe or 0

      stop_set(KEYS[i], math.max(ends or 0, us + pause), lease)
      redis.call('PUBLISH', KEYS[3],
                 ARGV[1] .. ' ' .. (i == 2 and ARGV[2] or ''))
    end

  elseif ends and ends <= us then
    if pause == 0 then
      redis.call('DEL', KEYS[i])

    elseif probe > us then
      stop_set(KEYS[i], ends, 0)
    end
  end
end

return 1
