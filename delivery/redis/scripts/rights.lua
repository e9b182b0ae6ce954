#!lua flags=allow-oom
-- rights.lua tries commands, each of which changes nothing on a key that does not exist, and
-- says which ones Redis refuses.
--
-- KEYS[1]  the partition
-- ARGV     for each: number of strings, command, the error that it must end with or '',
--          arguments: '@' for the key
-- Result   now in ms, then for each that failed otherwise: command, Redis's words

local results = { 0 }
local at = 1
while ARGV[at] do
  local last = at + ARGV[at]
  local command, want = ARGV[at + 1], ARGV[at + 2]
  local args = {}
  for i = at + 3, last do args[#args + 1] = ARGV[i] == '@' and KEYS[2] or ARGV[i] end
  -- What SADD adds must be removed. If that is refused, there is enough to tell already.
  if command ~= 'SADD' and command ~= 'APPEND' or #results == 1 then
    local value = redis.pcall(command, unpack(args))
    local words = type(value) == 'table' and value.err
    -- What APPEND makes must be removed, too.
    if command == 'APPEND' and not words then redis.call('UNLINK', KEYS[2]) end
    if words and (want == '' or not string.find(words, want, 1, true)) then
      results[#results + 1] = command
      results[#results + 1] = words
    end
  end
  at = last + 1
end
if #results == 1 then
  redis.call('SREM', KEYS[2], '')
  results[1] = now_ms()
end
return results
