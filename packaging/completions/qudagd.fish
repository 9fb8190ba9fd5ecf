# fish completion for qudagd(8)

complete -c qudagd -f
complete -c qudagd -s d -l dir -x -a '(__fish_complete_directories)' -d 'state folder'
complete -c qudagd -s c -l config -r -F -d 'configuration'
complete -c qudagd -s o -x -d 'one setting, overrides the file'
complete -c qudagd -l check-config -d 'check the configuration and exit'
complete -c qudagd -l print-config -d 'print the effective configuration and exit'
complete -c qudagd -l print-reference -d 'print all settings as Markdown and exit'
complete -c qudagd -l foreground -d 'stay in the foreground'
complete -c qudagd -l passphrase-fd -x -d 'read the passphrase of encrypted keys from this descriptor'
complete -c qudagd -l notify-fd -x -d 'write what happens to this descriptor'
complete -c qudagd -s V -l version -d 'show the version'
complete -c qudagd -s h -l help -d 'show help'
