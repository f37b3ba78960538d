-- Tables, closures and strings that come and go; the argument is how many rounds.
local rounds = tonumber(arg[1])
local seed = 42
local function random(limit)
  seed = seed * 16807 % 2147483647
  return seed % limit
end

local function tree(depth)
  if depth == 0 then return { value = random(1000) } end
  return { left = tree(depth - 1), right = tree(depth - 1), name = "node" .. depth }
end

local function sum(node)
  if node.value then return node.value end
  return sum(node.left) + sum(node.right)
end

local kept = {}
local total = 0
for round = 1, rounds do
  local t = tree(12)
  total = total + sum(t)
  kept[round % 8] = t
  local parts = {}
  for i = 1, 4000 do
    parts[i] = string.rep(string.char(97 + random(26)), 1 + random(40))
  end
  local text = table.concat(parts, " ")
  local words = {}
  for word in text:gmatch("%S+") do
    words[word] = (words[word] or 0) + 1
  end
end
assert(total > 0)
