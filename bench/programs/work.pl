# Hashes, strings and regular expressions; the argument is how many records.
use strict;
use warnings;

my $count = shift;
my $seed  = 7;
sub random { $seed = $seed * 16807 % 2147483647; return $seed % $_[0]; }

my %index;
my @lines;
for my $i ( 1 .. $count ) {
    my @words = map { join '', map { chr 97 + random(16) } 1 .. 2 + random(8) } 1 .. 6;
    push @lines, join ' ', @words;
    push @{ $index{$_} }, $i for @words;
    delete $index{ ( keys %index )[0] } if $i % 1000 == 0;
}
my %counts;
for my $line (@lines) {
    $counts{$1}++ while $line =~ /(\b[a-h]+\b)/g;
    $line =~ s/([aeiou])/<$1>/g;
}
my @sorted = sort { $counts{$b} <=> $counts{$a} || $a cmp $b } keys %counts;
my $text   = join "\n", @lines;
my @fields = split /[ \n]/, $text;
die "no words" unless @sorted && @fields;
