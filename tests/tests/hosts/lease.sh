#!/bin/sh
# What dhclient has done on this host: nothing but an address, never a name server.
case $reason in
BOUND | RENEW | REBIND | REBOOT) ip address replace "$new_ip_address/24" dev "$interface" ;;
EXPIRE | FAIL | STOP | RELEASE) ip address delete "$old_ip_address/24" dev "$interface" ;;
esac
echo "$reason" >> "$EVENTS"
exit 0
