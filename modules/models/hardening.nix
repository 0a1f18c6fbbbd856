# What the units may do. Everything is closed; what is open says why.
rec {
  # For a program that needs no network, no devices and no privileges.
  closed = {
    AmbientCapabilities = "";
    CapabilityBoundingSet = "";
    DeviceAllow = "";
    DevicePolicy = "closed";
    IPAddressDeny = "any";
    KeyringMode = "private";
    LockPersonality = true;
    MemoryDenyWriteExecute = true;
    NoNewPrivileges = true;
    PrivateDevices = true;
    PrivateMounts = true;
    PrivateNetwork = true;
    PrivateTmp = true;
    PrivateUsers = true;
    ProcSubset = "pid";
    ProtectClock = true;
    ProtectControlGroups = true;
    ProtectHome = true;
    ProtectHostname = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    ProtectKernelTunables = true;
    ProtectProc = "invisible";
    ProtectSystem = "strict";
    RemoveIPC = true;
    RestrictAddressFamilies = [ "AF_UNIX" ];
    RestrictNamespaces = true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    SocketBindDeny = "any";
    SystemCallArchitectures = "native";
    SystemCallErrorNumber = "EPERM";
    SystemCallFilter = [
      "@system-service"
      "~@privileged"
      "~@resources"
    ];
    # The group reads what is made; nobody else does.
    UMask = "0027";
  };

  # It waits for a model, and asks the daemon over its Unix socket.
  waiter = closed;

  # It fetches from the network and keeps what it fetched.
  daemon =
    removeAttrs closed [
      # It may ask any host: where models come from is for the policy's sources to say. It opens no port itself,
      # since the socket unit hands it one, so SocketBindDeny stays.
      "IPAddressDeny"
      "PrivateNetwork"
      # Hugging Face clients of the group make lock files in the cache, and what they make has to belong to the
      # group: that takes the set-group-ID bit on the folders for locks.
      "RestrictSUIDSGID"
    ]
    // {
      # AF_UNIX for the operator's socket, the journal and the name service.
      RestrictAddressFamilies = [
        "AF_UNIX"
        "AF_INET"
        "AF_INET6"
      ];
      SystemCallFilter = closed.SystemCallFilter ++ [
        # A new index is read at a lower priority than clients are served. Raising it again is not possible: that
        # takes a capability.
        "setpriority"
      ];
      LimitNOFILE = 65536;
    };
}
