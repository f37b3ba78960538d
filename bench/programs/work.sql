-- Tables, indexes, joins and sorting in memory; @items is how many rows.
PRAGMA cache_size = -200000;
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, grp INTEGER, price REAL, note TEXT);
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < @items)
INSERT INTO item
SELECT i, printf('%x-%d', i * 2654435761 % 4294967296, i % 97), i * 7919 % 1009, i * 31 % 10007 / 7.0,
  substr('abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz', 1 + i % 26, 5 + i % 30)
FROM n;
CREATE INDEX item_name ON item (name);
CREATE INDEX item_grp ON item (grp, price);
CREATE TABLE total AS SELECT grp, count(*) AS items, sum(price) AS price, group_concat(name) AS names FROM item GROUP BY grp;
DELETE FROM item WHERE id % 3 = 0;
UPDATE item SET note = note || '-' || name WHERE grp % 5 = 0;
SELECT count(*), sum(length(note)) FROM item JOIN total USING (grp) WHERE item.price > total.price / total.items;
SELECT count(*) FROM (SELECT note, count(*) FROM item GROUP BY note ORDER BY note);
